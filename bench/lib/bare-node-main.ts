/**
 * The least a Node server can do, as a process of its own: one body in memory for every request. What modferry adds
 * to this is modferry's own cost. Usage: `node bench/lib/bare-node-main.ts FILE`; prints its address.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const body = readFileSync(process.argv[2] ?? '');
// Fewer than a real answer has: what those cost is modferry's own cost too.
const headers = {
  'Content-Type': 'application/json',
  'Content-Length': body.length,
  'Cache-Control': 'public, max-age=31536000, immutable',
};
const server = createServer((_, response) => {
  response.writeHead(200, headers);
  response.end(body);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => {
  process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit());
