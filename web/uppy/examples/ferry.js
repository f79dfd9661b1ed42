import Ferry from "../src/ferry.js";
import { showPage } from "./page.js";

showPage((uppy, { url, token }) => uppy.use(Ferry, { url, token }));
