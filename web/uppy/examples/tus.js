import Tus from "@uppy/tus";
import { ferryTus } from "../src/tus.js";
import { showPage } from "./page.js";

showPage((uppy, { url, token }) => uppy.use(Tus, ferryTus({ url, token })));
