// tus-node-server over its S3 store, as its documentation sets it up: what a chunk costs there is measured beside Ferry.
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
    // As with Ferry's own clients: no trailers that a stand-in for S3 might not read.
    requestChecksumCalculation: "WHEN_REQUIRED",
  },
});
const tus = new Server({ path: "/files", datastore });
const server = createServer(tus.handle.bind(tus));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/files`));
