import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { PublishedSource } from './published-source.ts';
import { keyOf, libModule, modulePath, type TestRegistry, testRegistry, v } from './test-registry.ts';

async function fixture() {
  const test = await testRegistry({ upload: { allowPseudo: true } });
  return { ...test, ask: asker(test) };
}

function asker({ store, registry }: TestRegistry) {
  const source = new PublishedSource({ store, registry, clock: systemClock });
  return async (target: string): Promise<string> => {
    const answer = await source.fetch({
      target,
      answerClass: 'meta',
      signal: new AbortController().signal,
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    expect(answer.contentLength).toBe(body.length);
    return body.toString();
  };
}

async function fromGit(test: TestRegistry, version: string): Promise<void> {
  const { info, mod, zip, zipH1, modH1 } = libModule({ version });
  for (const [ext, body, h1] of [
    ['info', info, undefined],
    ['mod', mod, modH1],
    ['zip', zip, zipH1],
  ] as const) {
    const staged = await test.store.stage(keyOf(version, ext));
    await staged.write([body]);
    const sha256 = createHash('sha256').update(body).digest('hex');
    await staged.publish({ sha256, source: 'direct', ...(h1 === undefined ? {} : { h1 }) });
    await staged.close();
  }
}

describe('the source of what was published here', () => {
  it('lists what was published, in order, without pseudo-versions and without what Git brought', async () => {
    const test = await fixture();
    for (const version of ['v1.10.0', 'v1.2.0', 'v1.11.0-rc.1', 'v0.0.0-20240102030405-abcdef123456']) {
      await test.publish(libModule({ version }).zip, version);
    }
    await fromGit(test, 'v1.5.0');

    expect(await test.ask('/corp.test/lib/@v/list')).toBe('v1.2.0\nv1.10.0\nv1.11.0-rc.1\n');
    expect(JSON.parse(await test.ask('/corp.test/lib/@latest'))).toMatchObject({ Version: 'v1.10.0' });
  });

  it('leaves out what was taken back, and says that it is gone and why', async () => {
    const test = await fixture();
    await test.publish(libModule().zip);
    await test.publish(libModule({ version: 'v1.1.0' }).zip, 'v1.1.0');
    expect(await test.ask('/corp.test/lib/@v/list')).toBe('v1.0.0\nv1.1.0\n');

    await test.registry.unpublish(modulePath, v('v1.1.0'), 'leaked a key', 'user:a');

    expect(await test.ask('/corp.test/lib/@v/list')).toBe('v1.0.0\n');
    expect(JSON.parse(await test.ask('/corp.test/lib/@latest'))).toMatchObject({ Version: 'v1.0.0' });
    for (const ext of ['info', 'mod', 'zip']) {
      await expect(test.ask(`/corp.test/lib/@v/v1.1.0.${ext}`)).rejects.toMatchObject({
        name: 'UpstreamError',
        code: 'gone',
        status: 410,
        message: expect.stringContaining('leaked a key'),
      });
    }
  });

  it('says gone of a module of which everything was taken back', async () => {
    const test = await fixture();
    await test.publish(libModule().zip);
    await test.registry.unpublish(modulePath, v('v1.0.0'), 'no', 'user:a');

    await expect(test.ask('/corp.test/lib/@v/list')).rejects.toMatchObject({ code: 'gone' });
    await expect(test.ask('/corp.test/lib/@latest')).rejects.toMatchObject({ code: 'gone' });
  });

  it('answers an empty list for a module of pseudo-versions, and the newest of them as latest', async () => {
    const test = await fixture();
    const version = 'v0.0.0-20240102030405-abcdef123456';
    await test.publish(libModule({ version }).zip, version);

    expect(await test.ask('/corp.test/lib/@v/list')).toBe('');
    expect(JSON.parse(await test.ask('/corp.test/lib/@latest'))).toMatchObject({ Version: version });
  });

  it('does not take a retracted version for the latest', async () => {
    const test = await fixture();
    await test.publish(libModule().zip);
    await test.publish(libModule({ version: 'v1.1.0', retract: ['v1.1.0'] }).zip, 'v1.1.0');

    expect(JSON.parse(await test.ask('/corp.test/lib/@latest'))).toMatchObject({ Version: 'v1.0.0' });
    expect(await test.ask('/corp.test/lib/@v/list')).toBe('v1.0.0\nv1.1.0\n');
  });

  it.each([
    '/corp.test/lib/@v/v1.0.0.zip',
    '/corp.test/lib/@v/main.info',
    '/corp.test/lib/@v/v1.info',
    '/corp.test/other/@v/list',
    '/corp.test/other/@latest',
    '/corp.test/lib/sub/@v/list',
    '/corp.test/Lib/@v/list',
    '/../@v/list',
    '/',
    '',
  ])('knows nothing of %s', async (target) => {
    const test = await fixture();
    await test.publish(libModule({ version: 'v1.1.0' }).zip, 'v1.1.0');

    await expect(test.ask(target)).rejects.toMatchObject({ name: 'UpstreamError', code: 'absent' });
  });

  it('still lists an upload whose record was lost', async () => {
    const test = await testRegistry();
    await test.publish(libModule().zip);
    rmSync(join(test.folder, 'meta', 'records'), { recursive: true });

    const other = await test.other();

    expect(await asker(other)('/corp.test/lib/@v/list')).toBe('v1.0.0\n');
  });

  it('sees what another process published and took back', async () => {
    const test = await fixture();
    const other = await test.other();
    await expect(test.ask('/corp.test/lib/@v/list')).rejects.toMatchObject({ code: 'absent' });

    await other.publish(libModule().zip);
    expect(await test.ask('/corp.test/lib/@v/list')).toBe('v1.0.0\n');
    await other.registry.unpublish(modulePath, v('v1.0.0'), 'no', 'user:a');

    await expect.poll(() => test.ask('/corp.test/lib/@v/list').catch((error) => error.code)).toBe('gone');
  });
});
