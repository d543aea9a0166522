/** The judge of a zip that passes through: proves its structure while it comes, and its content at the end. */
import { createHash } from 'node:crypto';
import type { UpstreamAnswer } from '../upstream/types.ts';
import type { ZipStreamCheck } from '../zip/zip-stream-check.ts';
import type { StreamJudge } from './pass-through.ts';
import type { Proving } from './proving.ts';

/** There is no disk to keep a suspect on: only the evidence of it is put away. */
export function provenJudge(check: ZipStreamCheck, proving: Proving, answer: UpstreamAnswer): StreamJudge {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return {
    async push(chunk) {
      proving.throwIfBlocked();
      hash.update(chunk);
      sizeBytes += chunk.length;
      await check.push(chunk);
    },
    async finish() {
      const { h1 } = await check.finish();
      const { upstream, headers } = answer;
      const found = { h1, sha256: hash.digest('hex'), sizeBytes, sources: [upstream], headers };
      await proving.judge(found, undefined);
      proving.settled(upstream);
    },
    close() {
      check.close();
    },
  };
}
