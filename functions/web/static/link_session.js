// @ts-check
import { errorOf, Session } from "./api.js";

/** The session of a person who opened a link. The secret, the password and the token are in memory only. */
export class LinkSession extends Session {
  #secret;
  #password = "";
  #linkId = "";

  /** @param {string} secret @param {() => Promise<string | null>} askPassword asks for the password when the one given is no longer accepted */
  constructor(secret, askPassword) {
    super();
    this.#secret = secret;
    this.askPassword = askPassword;
  }

  get scope() {
    return `link:${this.#linkId}`;
  }

  get hasPut() {
    return false;
  }

  /** @returns {"fail" | "rename"} */
  get ifExists() {
    return "rename";
  }

  /** @returns {Promise<any>} what the link is for */
  async describe() {
    const response = await fetch(`/l/${this.#secret}`, {
      headers: { Accept: "application/json" },
      credentials: "omit",
      cache: "no-store",
    });
    if (!response.ok) throw await errorOf(response);
    return response.json();
  }

  /** @param {string} password empty for a link without one */
  async open(password) {
    this.#password = password;
    await this.authenticate();
  }

  async fetchToken() {
    const body = this.#password
      ? { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ password: this.#password }) }
      : {};
    const response = await fetch(`/l/${this.#secret}/token`, { method: "POST", credentials: "omit", ...body });
    if (!response.ok) throw await errorOf(response);
    const token = await response.json();
    this.#linkId = subjectOf(token.access_token);
    return token;
  }

  /** @param {any} error */
  async recover(error) {
    if (error.code !== "link_password") return false;
    const password = await this.askPassword();
    if (!password) return false;
    this.#password = password;
    return true;
  }
}

/** @param {string} token a JWT @returns {string} its subject: the id of the link, from which the secret cannot be derived */
function subjectOf(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return String(JSON.parse(atob(payload)).sub);
  } catch {
    return "";
  }
}
