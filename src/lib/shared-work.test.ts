import { describe, expect, it } from 'vitest';
import { SharedWork } from './shared-work.ts';

function gated(worthFinishing?: () => boolean) {
  const gate = Promise.withResolvers<string>();
  const begun = Promise.withResolvers<void>();
  let signal: AbortSignal | undefined;
  const work = new SharedWork<string>((given) => {
    signal = given;
    begun.resolve();
    given.addEventListener('abort', () => gate.reject(given.reason));
    return gate.promise;
  }, worthFinishing);
  return { work, gate, begun: begun.promise, aborted: () => signal?.aborted };
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
    const { work, gate, begun, aborted } = gated(() => true);
    const leave = work.hold();
    await begun;

    leave();

    expect(aborted()).toBe(false);
    gate.resolve('done');
    await expect(work.promise).resolves.toBe('done');
  });

  it('counts an asker that leaves twice only once', async () => {
    const { work, gate, begun, aborted } = gated();
    await begun;
    const leave = work.hold();
    work.hold();

    leave();
    leave();

    expect(work.askers).toBe(1);
    expect(aborted()).toBe(false);
    gate.resolve('done');
  });
});

describe('SharedWork: until when it is waited for', () => {
  it('is the latest deadline of those who wait now, and open as soon as one has none', () => {
    const { work } = gated(() => true);
    const leaveEarly = work.hold(() => 1000);
    const leaveLate = work.hold(() => 3000);
    expect(work.deadlineAtMs).toBe(3000);
    const leavePatient = work.hold();
    expect(work.deadlineAtMs).toBeUndefined();
    leavePatient();
    leaveLate();
    expect(work.deadlineAtMs).toBe(1000);
    leaveEarly();
    expect(work.deadlineAtMs).toBeUndefined();
  });

  it('is open once an asker has lifted its own', () => {
    const { work } = gated();
    let atMs: number | undefined = 1000;
    work.hold(() => atMs);
    atMs = undefined;
    expect(work.deadlineAtMs).toBeUndefined();
  });

  it('is known to the work from its beginning', async () => {
    const seen: (number | undefined)[] = [];
    const work = new SharedWork(async (_signal, deadlineAtMs) => {
      seen.push(deadlineAtMs());
    });
    await Promise.all([work.join(undefined, () => 1000), work.join(undefined, () => 2000)]);
    expect(seen).toEqual([2000]);
  });
});
