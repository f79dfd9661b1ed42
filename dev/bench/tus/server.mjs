// tus-node-server with its S3 store, set up as its documentation shows. `make bench-speed` compares it with Ferry.
import { createServer } from "node:http";
import { S3Store } from "@tus/s3-store";
import { Server } from "@tus/server";

const [endpoint, bucket, partSize] = process.argv.slice(2);
const datastore = new S3Store({
  partSize: Number(partSize),
  s3ClientConfig: {
    bucket,
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    // Ferry's clients have the same setting: an S3 emulator may not support checksum trailers.
    requestChecksumCalculation: "WHEN_REQUIRED",
  },
});
const tus = new Server({ path: "/files", datastore });
const server = createServer(tus.handle.bind(tus));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/files`));
