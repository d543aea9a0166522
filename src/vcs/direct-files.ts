/** The small files of a module, as a GOPROXY server sends them. */
import type { DirectTarget } from './direct-target.ts';
import type { ModuleAnswers } from './module-answers.ts';

export type SmallTarget = Exclude<DirectTarget, { kind: 'zip' }>;

/** Rejects as `answers` does. */
export async function smallFile(
  target: SmallTarget,
  answers: ModuleAnswers,
  signal: AbortSignal,
): Promise<{ bytes: Buffer; contentType: string }> {
  switch (target.kind) {
    case 'list': {
      const versions = await answers.list(signal);
      return plain(Buffer.from(versions.map((version) => `${version}\n`).join('')));
    }
    case 'mod':
      return plain(await answers.goMod(target.version, signal));
    case 'latest':
      return json(await answers.latest(signal));
    default:
      return json(await answers.info(target.query, signal));
  }
}

function plain(bytes: Buffer): { bytes: Buffer; contentType: string } {
  return { bytes, contentType: 'text/plain; charset=utf-8' };
}

function json(text: string): { bytes: Buffer; contentType: string } {
  return { bytes: Buffer.from(text), contentType: 'application/json' };
}
