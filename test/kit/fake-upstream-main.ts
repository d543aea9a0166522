/**
 * The fake upstream as a process of its own, for the bench:
 * `node test/kit/fake-upstream-main.ts --root DIR [--port N] [--latency MS] [--sumdb]`. Prints one line with its
 * address, counts what it served on SIGUSR2, and stops on SIGTERM or SIGINT. With `--sumdb` it offers a checksum
 * database of its own that has all of the folder, and prints its key before.
 */
import { parseArgs } from 'node:util';
import { startFakeUpstream } from './fake-upstream.ts';
import { logOf } from './sumdb-log-folder.ts';

const { values } = parseArgs({
  options: {
    root: { type: 'string' },
    port: { type: 'string', default: '0' },
    latency: { type: 'string', default: '0' },
    sumdb: { type: 'boolean', default: false },
  },
});
if (values.root === undefined) {
  process.stderr.write('fake-upstream: give --root DIR, a folder like GOMODCACHE/cache/download\n');
  process.exit(64);
}
const log = values.sumdb ? await logOf(values.root) : undefined;
if (log !== undefined) process.stdout.write(`checksum database ${log.verifierKey}\n`);
const upstream = await startFakeUpstream({
  root: values.root,
  port: Number(values.port),
  latencyMs: Number(values.latency),
  ...(log === undefined ? {} : { sumdb: log.handler }),
});
process.stdout.write(`listening on ${upstream.url}\n`);
process.on('SIGUSR2', () => {
  const bytes = upstream.requests.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
  process.stdout.write(`served ${upstream.requests.length} requests ${bytes} bytes\n`);
  upstream.reset();
});
const stop = (): void => {
  void upstream.close();
  void log?.close();
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
