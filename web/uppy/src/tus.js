// @ts-check
/** The preset for @uppy/tus: `uppy.use(Tus, ferryTus({ url, token }))`. */
import { tokenOf } from "./token_session.js";

/** Bytes of a request at most. Without it @uppy/tus sends the whole file in one request, which API Gateway rejects. */
const CHUNK_BYTES = 4194304;

const RETRY_DELAYS_MS = [0, 1000, 3000, 5000, 10000, 20000];

/**
 * @param {{url: string, token: import("./token_session.js").Token, [option: string]: unknown}} options
 *   the API's address, the token, and any option of @uppy/tus
 */
export function ferryTus({ url, token, ...more }) {
  return {
    endpoint: `${url.replace(/\/+$/, "")}/uploads`,
    chunkSize: CHUNK_BYTES,
    retryDelays: RETRY_DELAYS_MS,
    removeFingerprintOnSuccess: true,
    /** @param {{setHeader: (name: string, value: string) => void}} request */
    onBeforeRequest: async (request) => request.setHeader("Authorization", `Bearer ${await tokenOf(token)}`),
    ...more,
  };
}
