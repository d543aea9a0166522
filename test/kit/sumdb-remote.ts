/**
 * The `/sumdb/` side of a fake upstream (https://go.dev/ref/mod#checksum-database): a function of the test's own, or
 * pass-through to databases that live elsewhere, fake or real. Nothing is verified here.
 */
import type { Fault } from './faults.ts';
import { bytesReply, type Reply, textReply } from './reply.ts';

/** A reply, and faults committed with it after those that the upstream's own script orders. */
export type SumdbReply = Reply & { readonly faults?: readonly Fault[] };

/** Answers a path such as `sum.golang.org/lookup/example.com/a@v1.0.0`, percent-decoded. */
export type SumdbHandler = (path: string) => SumdbReply | Promise<SumdbReply>;

export interface SumdbRemote {
  /** The database's name, `host` or `host/path`. */
  readonly name: string;
  /** Its base URL: `/lookup/…`, `/tile/…` and `/latest` are asked below it. */
  readonly url: string;
}

export function sumdbHandler(
  sumdb: SumdbHandler | readonly SumdbRemote[],
): (path: string) => Promise<SumdbReply> {
  if (typeof sumdb === 'function') return async (path) => sumdb(path);
  return async (path) => {
    const remote = sumdb.find(({ name }) => path.startsWith(`${name}/`));
    if (!remote) return textReply(404, `no such checksum database: ${path}\n`);
    const target = path.slice(remote.name.length + 1);
    if (target === 'supported') return textReply(200, '');
    const response = await fetch(`${remote.url.replace(/\/$/, '')}/${target}`);
    const bytes = Buffer.from(await response.arrayBuffer());
    const type = response.headers.get('content-type') ?? 'application/octet-stream';
    return { ...bytesReply(type, bytes), status: response.status };
  };
}
