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
    signal?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}

/** @param {AbortSignal} signal @returns {Promise<never>} rejected when the signal aborts */
function abortOf(signal) {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** @param {number} attempt @returns {number} milliseconds to wait before a repetition */
export function backoff(attempt) {
  return Math.min(MAX_DELAY_MS, 500 * 2 ** Math.min(attempt, 8)) * (0.5 + Math.random() / 2);
}

/** Sends requests with a token. Only this object has the token, so it is in memory only. */
export class Session {
  #token = "";
  #expiresAt = 0;
  /** @type {Promise<void> | null} */
  #renewing = null;
  /** The response that the token came with. @type {Record<string, any>} */
  grant = {};

  /** Called when the service responds again, or does not respond. @param {boolean} _isUp */
  onConnection(_isUp) {}

  /** Who is signed in: saved uploads of several clients and links are kept apart by it. */
  get scope() {
    return "";
  }

  /** Whether a small file may be sent in one request, without `start`. */
  get hasPut() {
    return true;
  }

  /** What an upload does if its name is taken and the person has not chosen. @returns {"fail" | "rename"} */
  get ifExists() {
    return "fail";
  }

  /** @returns {Promise<any>} the response with a new token */
  async fetchToken() {
    throw new Error("not signed in");
  }

  /** @param {unknown} _error why there is no token @returns {Promise<boolean>} whether another attempt makes sense */
  async recover(_error) {
    return false;
  }

  /** Get a new token. */
  async authenticate() {
    const body = await this.fetchToken();
    this.grant = body;
    this.#token = body.access_token;
    this.#expiresAt = performance.now() + Math.max(10, body.expires_in - 60) * 1000;
  }

  /** @returns {Promise<string>} a token that is valid for some time */
  async validToken() {
    await this.#ensureToken();
    return this.#token;
  }

  forgetToken() {
    this.#token = "";
  }

  /**
   * Send a request, repeat it while that helps, and return the response.
   * @param {string} method
   * @param {string} path
   * @param {{json?: unknown, body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal, isRepeatable?: boolean}} [options] `isRepeatable: false` for a request that must not be sent twice
   * @returns {Promise<Response>}
   */
  async request(method, path, options = {}) {
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      await this.#ensureToken(options.signal);
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
        // The connection may end within the content, too. Then the request is repeated like one without a response.
        await response.clone().arrayBuffer();
      } catch (error) {
        if (options.signal?.aborted || options.isRepeatable === false) throw error;
        this.onConnection(false);
        await sleep(backoff(attempt), options.signal);
        continue;
      }
      this.onConnection(true);
      if (response.ok) return response;
      if (response.status === 401 && !renewed) {
        renewed = true;
        if (this.#token === token) this.forgetToken();
        continue;
      }
      if (RETRYABLE.has(response.status) && (options.isRepeatable !== false || response.status === 429)) {
        const seconds = Number(response.headers.get("Retry-After")) || 0;
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

  /** @param {AbortSignal} [signal] ends the wait, which may be one for a person who signs in again */
  async #ensureToken(signal) {
    if (this.#token && performance.now() < this.#expiresAt) return;
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null;
    });
    await (signal ? Promise.race([this.#renewing, abortOf(signal)]) : this.#renewing);
  }

  async #renew() {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.authenticate();
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || (RETRYABLE.has(error.status) && error.code !== "link_locked")) {
          this.onConnection(false);
          await sleep(backoff(attempt));
        } else if (!(await this.recover(error))) {
          throw error;
        }
      }
    }
  }
}

/** A signed-in client. Its secret is in memory alone. */
export class ClientSession extends Session {
  #id = "";
  #secret = "";

  /** @param {() => Promise<{id: string, secret: string} | null>} askAgain asks for id and secret when the service no longer accepts them */
  constructor(askAgain) {
    super();
    this.askAgain = askAgain;
  }

  /** @param {string} id @param {string} secret */
  async signIn(id, secret) {
    this.#id = id;
    this.#secret = secret;
    await this.authenticate();
  }

  signOut() {
    this.#id = this.#secret = "";
    this.forgetToken();
  }

  get scope() {
    return `client:${this.#id}`;
  }

  async fetchToken() {
    const pair = `${encodeURIComponent(this.#id)}:${encodeURIComponent(this.#secret)}`;
    const bytes = new TextEncoder().encode(pair);
    const response = await fetch("/auth/token", {
      method: "POST",
      headers: {
        Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}`,
        "Content-Type": "application/x-www-form-urlencoded",
      },
      body: "grant_type=client_credentials",
      credentials: "omit",
    });
    if (!response.ok) throw await errorOf(response);
    return response.json();
  }

  /** @param {unknown} _error */
  async recover(_error) {
    const given = await this.askAgain();
    if (!given) return false;
    this.#id = given.id;
    this.#secret = given.secret;
    return true;
  }
}

/** @param {Response} response @returns {Promise<ApiError>} */
export async function errorOf(response) {
  /** @type {Record<string, any>} */
  let body = {};
  try {
    body = await response.json();
  } catch {
    // A response of the gateway itself, or of a proxy.
  }
  const detail = body.detail ?? body.error_description ?? body.message ?? `The service answered ${response.status}.`;
  return new ApiError(response.status, body.code ?? body.error ?? `http_${response.status}`, detail, body);
}

/** @param {string} route @param {string} filename @param {Record<string, string>} [query] @returns {string} path with the name in the query */
export function filePath(route, filename, query = {}) {
  return `${route}?${new URLSearchParams({ filename, ...query })}`;
}
