/**
 * Test help: a process that publishes what it is sent and kills itself at the step it is told. With another step it goes
 * on to the end and prints the outcome, or the code of the error.
 */
import { join } from 'node:path';
import type { ModulePath, Version } from '../gomod/types.ts';
import { attendedClock } from '../lib/clock.ts';
import { errnoOf } from '../lib/errors.ts';
import { openFsStore } from '../store/fs/fs-store.ts';
import type { Staged, Store } from '../store/store.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import { createRegistry, defaultUploadOptions } from './registry.ts';

export const steps = ['mod staged', 'mod published', 'zip published', 'info published'] as const;

function killedAt(store: Store, step: string): Store {
  const kill = (): boolean => process.kill(process.pid, 'SIGKILL');
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== 'stage') return typeof value === 'function' ? value.bind(target) : value;
      return async (key: Parameters<Store['stage']>[0]): Promise<Staged> => {
        const staged = await store.stage(key);
        if (step === `${key.ext} staged`) kill();
        return new Proxy(staged, {
          get(inner, part) {
            const member: unknown = Reflect.get(inner, part, inner);
            if (part !== 'publish') return typeof member === 'function' ? member.bind(inner) : member;
            return async (facts: Parameters<Staged['publish']>[0]) => {
              const result = await inner.publish(facts);
              if (step === `${key.ext} published`) kill();
              return result;
            };
          },
        });
      };
    },
  });
}

async function run(folder: string, step: string): Promise<void> {
  const store = await openFsStore({ folder, clock: attendedClock });
  const registry = await createRegistry({
    store: killedAt(store, step),
    zips: new ZipVerifier(),
    clock: attendedClock,
    metaFolder: join(folder, 'meta'),
    options: () => ({ ...defaultUploadOptions, limits: { zipBytes: 1024 * 1024 } }),
  });
  const published = registry.publish({
    path: 'corp.test/lib' as ModulePath,
    version: 'v1.0.0' as Version,
    body: process.stdin,
    declaredBytes: undefined,
    who: 'token:ci',
    signal: new AbortController().signal,
  });
  const outcome = await published.then(
    (result) => result.outcome,
    (error: unknown) => errnoOf(error) ?? 'unknown',
  );
  process.stdout.write(outcome);
  await store.close();
}

const [, script, folder, step] = process.argv;
if (script === import.meta.filename && folder !== undefined && step !== undefined) await run(folder, step);
