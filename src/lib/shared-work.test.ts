import { describe, expect, it } from 'vitest';
import { SharedWork } from './shared-work.ts';

function gated(worthFinishing?: () => boolean) {
  const gate = Promise.withResolvers<string>();
  let signal: AbortSignal | undefined;
  const work = new SharedWork<string>((given) => {
    signal = given;
    given.addEventListener('abort', () => gate.reject(given.reason));
    return gate.promise;
  }, worthFinishing);
  return { work, gate, aborted: () => signal?.aborted };
}

describe('SharedWork', () => {
  it('gives every asker the one result', async () => {
    const { work, gate } = gated();
    const both = Promise.all([work.join(), work.join()]);

    gate.resolve('done');

    await expect(both).resolves.toEqual(['done', 'done']);
  });

  it('goes on for the others when one asker leaves', async () => {
    const { work, gate, aborted } = gated();
    const leaver = new AbortController();
    const left = work.join(leaver.signal);
    const stays = work.join();

    leaver.abort(new Error('gone'));

    await expect(left).rejects.toThrow('gone');
    expect(aborted()).toBe(false);
    gate.resolve('done');
    await expect(stays).resolves.toBe('done');
  });

  it('is cancelled when the last asker leaves', async () => {
    const { work, aborted } = gated();
    const leaver = new AbortController();
    const left = work.join(leaver.signal);

    leaver.abort(new Error('gone'));

    await expect(left).rejects.toThrow('gone');
    expect(aborted()).toBe(true);
    expect(work.cancelled).toBe(true);
  });

  it('is finished without askers when it is nearly done', async () => {
    const { work, gate, aborted } = gated(() => true);
    const leave = work.hold();

    leave();

    expect(aborted()).toBe(false);
    gate.resolve('done');
    await expect(work.promise).resolves.toBe('done');
  });

  it('counts an asker that leaves twice only once', () => {
    const { work, gate, aborted } = gated();
    const leave = work.hold();
    work.hold();

    leave();
    leave();

    expect(work.askers).toBe(1);
    expect(aborted()).toBe(false);
    gate.resolve('done');
  });
});
