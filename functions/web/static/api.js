// @ts-check
/** A request that the service rejected. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} detail @param {Record<string, any>} members */
  constructor(status, code, detail, members) {
    super(detail);
    this.status = status;
    this.code = code;
    this.members = members;
  }
}

const RETRYABLE = new Set([408, 429, 500, 502, 503, 504]);
const MAX_DELAY_MS = 20_000;

/** @param {number} milliseconds @param {AbortSignal} [signal] @returns {Promise<void>} */
export function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** @param {number} attempt @returns {number} milliseconds to wait before a repetition */
export function backoff(attempt) {
  return Math.min(MAX_DELAY_MS, 500 * 2 ** Math.min(attempt, 8)) * (0.5 + Math.random() / 2);
}

/** A signed-in client. Its secret and token live in this object alone, so in memory. */
export class Session {
  #id = "";
  #secret = "";
  #token = "";
  #expiresAt = 0;
  /** @type {Promise<void> | null} */
  #signingIn = null;

  /** @param {() => Promise<{id: string, secret: string} | null>} askAgain asks for id and secret when the service no longer accepts them */
  constructor(askAgain) {
    this.askAgain = askAgain;
  }

  /** @param {string} id @param {string} secret */
  async signIn(id, secret) {
    const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
    const bytes = new TextEncoder().encode(pair);
    const response = await fetch("/auth/token", {
      method: "POST",
      headers: { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}`, "Content-Type": "application/x-www-form-urlencoded" },
      body: "grant_type=client_credentials",
      credentials: "omit",
    });
    if (!response.ok) throw await errorOf(response);
    const body = await response.json();
    this.#id = id;
    this.#secret = secret;
    this.#token = body.access_token;
    this.#expiresAt = performance.now() + Math.max(10, body.expires_in - 60) * 1000;
  }

  signOut() {
    this.#id = this.#secret = this.#token = "";
  }

  /**
   * Send a request, repeat it while that helps, and return the response.
   * @param {string} method
   * @param {string} path
   * @param {{json?: unknown, body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal, onWait?: (text: string) => void}} [options]
   * @returns {Promise<Response>}
   */
  async request(method, path, options = {}) {
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      await this.#ensureToken();
      const token = this.#token;
      let response;
      try {
        response = await fetch(path, {
          method,
          headers: {
            ...(options.json === undefined ? {} : { "Content-Type": "application/json" }),
            ...options.headers,
            Authorization: `Bearer ${token}`,
          },
          body: options.json === undefined ? options.body : JSON.stringify(options.json),
          signal: options.signal,
          credentials: "omit",
        });
      } catch (error) {
        if (options.signal?.aborted) throw error;
        options.onWait?.(String(error));
        await sleep(backoff(attempt), options.signal);
        continue;
      }
      if (response.ok) return response;
      if (response.status === 401 && !renewed) {
        renewed = true;
        if (this.#token === token) this.#token = "";
        continue;
      }
      if (RETRYABLE.has(response.status)) {
        const seconds = Number(response.headers.get("Retry-After")) || 0;
        options.onWait?.(`${response.status}`);
        await sleep(Math.max(backoff(attempt), seconds * 1000), options.signal);
        continue;
      }
      throw await errorOf(response);
    }
  }

  /** @param {string} method @param {string} path @param {any} [options] */
  async json(method, path, options) {
    return (await this.request(method, path, options)).json();
  }

  async #ensureToken() {
    if (this.#token && performance.now() < this.#expiresAt) return;
    this.#signingIn ??= this.#renew().finally(() => {
      this.#signingIn = null;
    });
    await this.#signingIn;
  }

  async #renew() {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.signIn(this.#id, this.#secret);
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || RETRYABLE.has(error.status)) {
          await sleep(backoff(attempt));
          continue;
        }
        const given = await this.askAgain();
        if (!given) throw error;
        this.#id = given.id;
        this.#secret = given.secret;
      }
    }
  }
}

/** @param {Response} response @returns {Promise<ApiError>} */
export async function errorOf(response) {
  /** @type {Record<string, any>} */
  let body = {};
  try {
    body = await response.json();
  } catch {
    // An answer of the gateway itself, or of a proxy.
  }
  const detail = body.detail ?? body.error_description ?? body.message ?? `The service answered ${response.status}.`;
  return new ApiError(response.status, body.code ?? body.error ?? `http_${response.status}`, detail, body);
}

/** @param {string} route @param {string} filename @param {Record<string, string>} [query] @returns {string} path with the name in the query */
export function filePath(route, filename, query = {}) {
  return `${route}?${new URLSearchParams({ filename, ...query })}`;
}
