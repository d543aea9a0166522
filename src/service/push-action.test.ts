import { describe, expect, it } from 'vitest';
import type { ModulePath } from '../gomod/types.ts';
import type { KnownRepository } from '../vcs/module-register.ts';
import type { Delivery } from '../webhooks/delivery.ts';
import type { Push } from '../webhooks/types.ts';
import { type PushActionDeps, pushAction } from './push-action.ts';

const commit = 'a'.repeat(40);
const url = 'https://forge.example/team/lib.git';
const root = 'corp.example/lib' as ModulePath;
const known: KnownRepository = { url, root, subdir: '', paths: [root] };

function play(changes: Partial<PushActionDeps> = {}) {
  const done: string[] = [];
  const act = pushAction({
    mirrors: {
      expire(each) {
        done.push(`expire ${each}`);
        return true;
      },
    },
    repositoriesOf: (each) => (each.includes('forge.example') ? [known] : []),
    publishVersion: async (path, version) => {
      done.push(`publish ${path}@${version}`);
      return true;
    },
    refreshLists: async (path) => void done.push(`lists ${path}`),
    refreshQueries: async (path) => void done.push(`queries ${path}`),
    ...changes,
  });
  const push = (ref: string, after: string | undefined = commit): Push => ({
    urls: [url, 'git@forge.example:team/lib.git'],
    refs: [{ ref, after }],
  });
  const run = (one: Push, signal = new AbortController().signal) => act(one, {} as Delivery, signal);
  return { done, push, run };
}

describe('pushAction', () => {
  it('looks at the repository anew, stores the version, then refreshes the list: once for all its addresses', async () => {
    const { done, push, run } = play();
    expect(await run(push('refs/tags/v1.0.0'))).toEqual({
      outcome: 'done',
      published: ['corp.example/lib@v1.0.0'],
      refreshed: ['corp.example/lib'],
      refused: [],
    });
    expect(done).toEqual([`expire ${url}`, 'publish corp.example/lib@v1.0.0', 'lists corp.example/lib']);
  });

  it('does nothing for repositories that are not known here', async () => {
    const { done, run } = play();
    const push = { urls: ['http://169.254.169.254/x'], refs: [{ ref: 'refs/tags/v1.0.0', after: commit }] };
    expect((await run(push)).outcome).toBe('unknown');
    expect(done).toEqual([]);
  });

  it('tries what a tag of a major version may be until one is there', async () => {
    const { push, run } = play({ publishVersion: async (path) => path === root });
    expect(await run(push('refs/tags/v2.0.0'))).toMatchObject({
      outcome: 'done',
      published: ['corp.example/lib@v2.0.0+incompatible'],
      refused: [],
    });
  });

  it('bears that of the modules a tag may be of one is not there', async () => {
    const { push, run } = play({
      publishVersion: async (path) => path === root,
      refreshLists: (path) => (path === root ? Promise.resolve() : Promise.reject(new Error('not found'))),
    });
    expect(await run(push('refs/tags/v2.0.0'))).toMatchObject({
      outcome: 'done',
      refreshed: [root],
      refused: [],
    });
  });

  it('tells what could not be had, and refreshes all the same', async () => {
    const { push, run } = play({
      publishVersion: () => Promise.reject(new Error('forge.example cannot be reached')),
    });
    expect(await run(push('refs/tags/v1.0.0'))).toEqual({
      outcome: 'part',
      published: [],
      refreshed: ['corp.example/lib'],
      refused: [{ name: 'corp.example/lib@v1.0.0', why: 'forge.example cannot be reached' }],
    });
    const absent = play({ publishVersion: async () => false });
    expect((await absent.run(absent.push('refs/tags/v1.0.0'))).refused).toEqual([
      { name: 'corp.example/lib@v1.0.0', why: 'there is no such version in the repository' },
    ]);
  });

  it('fails when nothing worked', async () => {
    const failing = () => Promise.reject(new Error('no'));
    const { push, run } = play({ refreshLists: failing, refreshQueries: failing });
    expect((await run(push('refs/heads/main'))).outcome).toBe('failed');
  });

  it('ends with its signal', async () => {
    const stop = new AbortController();
    const { push, run } = play({
      publishVersion: async () => {
        stop.abort(new Error('modferry stops'));
        throw new Error('aborted');
      },
    });
    await expect(run(push('refs/tags/v1.0.0'), stop.signal)).rejects.toThrow('modferry stops');
  });

  it('publishes nothing of a deleted tag', async () => {
    const { done, run } = play();
    await run({ urls: [url], refs: [{ ref: 'refs/tags/v1.0.0', after: undefined }] });
    expect(done).toEqual([`expire ${url}`, 'lists corp.example/lib']);
  });
});
