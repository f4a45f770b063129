// No GraphQL at all: reads the request and answers so many bytes, to see that the load generator is not the limit.
import { createServer } from "node:http";
import { listening } from "./rows.mjs";

const server = createServer((request, response) => {
  const body = Buffer.alloc(Number(request.headers["x-bytes"] ?? 30), "x");
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
    response.end(body);
  });
});
server.listen(0, "127.0.0.1", () => listening(server));
