/** What the admin socket can do about proofs, quarantine and the scrub. */
import type { HashedKey } from '../checksums/types.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ArtifactExt, ArtifactKey } from '../gomod/types.ts';
import { parseCanonicalVersion } from '../gomod/version.ts';
import type { AdminActions } from '../http/admin.ts';
import type { Clock } from '../lib/clock.ts';
import { ModferryError } from '../lib/errors.ts';
import type { Store } from '../store/store.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import type { Prover } from './prover.ts';
import { releaseSuspect } from './release-suspect.ts';
import type { Upkeep } from './upkeep.ts';

export interface ProofActionsDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly prover: Prover;
  readonly upkeep: Upkeep;
  readonly zips: Pick<ZipVerifier, 'verify'>;
  /** Ready answers and remembered absences are made anew. */
  forgetAnswers(): void;
}

/** A database may fetch a module on demand. */
const expectWithinMs = 90_000;

export function proofActions(deps: ProofActionsDeps): AdminActions {
  const { clock, store, prover, upkeep, zips } = deps;
  return {
    'POST /expect': (ask) => {
      const key = keyOf(ask);
      if (!isHashed(key)) throw badRequest('only .mod and .zip have a hash to expect');
      const signal = AbortSignal.timeout(expectWithinMs);
      return prover.judge.expect(key, { signal });
    },
    'POST /heal': async (ask) => {
      const result = await upkeep.heal(keyOf(ask));
      deps.forgetAnswers();
      return result;
    },
    'POST /quarantine-release': async (ask) => {
      const id = textOf(ask, 'id');
      const { sha256, h1, outcome } = await releaseSuspect(id, textOf(ask, 'reason'), { store, zips, clock });
      deps.forgetAnswers();
      return { sha256, h1, outcome };
    },
    'GET /sumdb': async () => ({ databases: await prover.describe() }),
    'POST /sumdb-reset': async (ask) => {
      const name = textOf(ask, 'name');
      await prover.reset(name, textOf(ask, 'reason'));
      deps.forgetAnswers();
      return { name };
    },
    'GET /scrub': () => upkeep.scrubStatus(),
    'POST /scrub': async (ask) => {
      const action = textOf(ask, 'action');
      if (action === 'start') upkeep.startScrub();
      else if (action === 'stop') await upkeep.stopScrub();
      else throw badRequest('action is start or stop');
      return upkeep.scrubStatus();
    },
  };
}

function keyOf(ask: Readonly<Record<string, unknown>>): ArtifactKey {
  const path = parseModulePath(textOf(ask, 'path'));
  const text = textOf(ask, 'version');
  const version = parseCanonicalVersion(path, text);
  if (version === undefined)
    throw badRequest(`${JSON.stringify(text)} is not a canonical version of ${path}`);
  return { path, version, ext: extOf(textOf(ask, 'ext')) };
}

function extOf(text: string): ArtifactExt {
  if (text === 'info' || text === 'mod' || text === 'zip') return text;
  throw badRequest('ext is info, mod or zip');
}

function isHashed(key: ArtifactKey): key is HashedKey {
  return key.ext !== 'info';
}

function textOf(ask: Readonly<Record<string, unknown>>, name: string): string {
  const value = ask[name];
  if (typeof value === 'string' && value !== '') return value;
  throw badRequest(`${name} is missing`);
}

function badRequest(message: string): ModferryError {
  return new ModferryError('bad_request', message);
}
