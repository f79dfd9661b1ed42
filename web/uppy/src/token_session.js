// @ts-check
/** Requests to Ferry with a token that the page supplies. */
import { Session } from "../../../functions/web/static/api.js";

/** @typedef {string | (() => string | Promise<string>)} Token a token, or a function that returns one that is valid for a while */

export class TokenSession extends Session {
  /** @param {string} url the API's address @param {Token} token */
  constructor(url, token) {
    super();
    this.url = url.replace(/\/+$/, "");
    this.source = token;
  }

  get scope() {
    return `uppy:${this.url}`;
  }

  /** The page's function knows how long its token is valid, so it is asked again as soon as the session allows. */
  async fetchToken() {
    return { access_token: await tokenOf(this.source), expires_in: 0 };
  }

  /** @param {string} method @param {string} path @param {any} [options] */
  request(method, path, options) {
    return super.request(method, path.startsWith("/") ? this.url + path : path, options);
  }
}

/** @param {Token} token @returns {string | Promise<string>} */
export function tokenOf(token) {
  return typeof token === "function" ? token() : token;
}
