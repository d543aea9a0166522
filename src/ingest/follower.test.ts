import { describe, expect, it } from 'vitest';
import { at, file, never, read, sizeBytes, startFill, whole } from './test-fill.ts';

describe('a child that verifies for itself', () => {
  it('gets bytes as soon as there are any, with the tail held, while others wait', async () => {
    const { fill, clock, a } = startFill('a');
    const child = fill.join();
    const client = fill.join();
    await clock.advance(0);
    a.say(whole, file.subarray(0, sizeBytes - 1));
    let opened = 'waiting';
    void client.open(false, never).then(() => (opened = 'open'));
    const body = await child.open(false, never, false);
    const head = await read(child, 0, sizeBytes - 1024);
    let behind = 'held';
    const tail = read(child, head.length).then((bytes) => {
      behind = 'sent';
      return bytes;
    });
    await clock.advance(0);

    expect(body).toMatchObject({ sizeBytes, verified: undefined });
    expect([opened, behind]).toEqual(['waiting', 'held']);
    a.give(file.subarray(sizeBytes - 1), 'end');
    await clock.advance(0);
    expect(Buffer.concat([head, await tail]).equals(file)).toBe(true);
  });

  it('waits for all of it all the same when it needs it whole', async () => {
    const { fill, clock, a } = startFill('a');
    const child = fill.join();
    await clock.advance(0);
    a.say(whole, file.subarray(0, at));
    let opened = 'waiting';
    const open = child.open(true, never, false).then(() => (opened = 'open'));
    await clock.advance(1_000);
    expect(opened).toBe('waiting');
    a.give(file.subarray(at), 'end');
    await open;
  });
});
