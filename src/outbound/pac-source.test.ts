import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { TestServers } from '../upstream/test-servers.ts';
import { type PacSource, pacSource } from './pac-source.ts';

const script = 'function FindProxyForURL() { return "DIRECT"; }';
let dir: TempDir;
const servers = new TestServers();
beforeAll(async () => {
  dir = await tempDir('pac');
});
afterEach(() => servers.closeAll());
afterAll(() => dir.remove());

function sourceAt(location: string, clock = new FakeClock()): PacSource {
  return pacSource(location, { clock, caFile: undefined });
}

async function fileWith(text: string, name = 'proxy.pac'): Promise<string> {
  const file = join(dir.path, name);
  await writeFile(file, text);
  return file;
}

describe('a PAC file', () => {
  it('is read by path or file: URL, without its byte order mark', async () => {
    const file = await fileWith(`\uFEFF${script}`);

    expect((await sourceAt(file).text()).script).toBe(script);
    expect((await sourceAt(pathToFileURL(file).href).text()).script).toBe(script);
  });

  it('is read again when it changed, looked at once a minute', async () => {
    const file = await fileWith(script);
    const clock = new FakeClock();
    const source = sourceAt(file, clock);
    const first = await source.text();
    await writeFile(file, `${script}//2`);
    await utimes(file, 1, 1);

    expect(await source.text()).toBe(first);
    await clock.advance(60_000);
    // The copy in hand is given at once; the new one to whoever comes next.
    await source.text();
    await expect.poll(async () => (await source.text()).script).toBe(`${script}//2`);
    expect((await source.text()).version).toBe(first.version + 1);
  });

  it('stays in use when it is gone', async () => {
    const file = await fileWith(script);
    const clock = new FakeClock();
    const source = sourceAt(file, clock);
    const first = await source.text();
    await rm(file);
    await clock.advance(60_000);

    expect(await source.text()).toBe(first);
    await clock.advance(60_000);
    expect(await source.text()).toBe(first);
  });

  it.each([
    ['is a page', '<html>', 'is a page, not a PAC script'],
    ['is empty', ' \n', 'is empty'],
    ['is too large', `//${'x'.repeat(1024 * 1024)}`, 'larger than 1 MiB'],
  ])('fails when it %s', async (_what, text, expected) => {
    const file = await fileWith(text, 'bad.pac');
    await expect(sourceAt(file).text()).rejects.toMatchObject({
      code: 'pac',
      message: expect.stringContaining(expected),
    });
    await expect(sourceAt(file).text()).rejects.toThrow(file);
  });

  it('is tried again some seconds after a failure', async () => {
    const clock = new FakeClock();
    const file = join(dir.path, 'late.pac');
    const source = sourceAt(file, clock);
    await expect(source.text()).rejects.toThrow('cannot be read');
    await writeFile(file, script);
    await expect(source.text()).rejects.toThrow('cannot be read');
    await clock.advance(10_000);

    expect((await source.text()).script).toBe(script);
  });
});

describe('a PAC URL', () => {
  it('is fetched with its credentials, which are not shown', async () => {
    const seen: (string | undefined)[] = [];
    const url = await servers.serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end(script);
    });
    const source = sourceAt(`${url.replace('//', '//me:hunter2@')}/proxy.pac`);

    expect((await source.text()).script).toBe(script);
    expect(seen).toEqual([`Basic ${Buffer.from('me:hunter2').toString('base64')}`]);
    expect(source.shown).toBe(`${url}/proxy.pac`);
  });

  it('is fetched again after ten minutes, and its last good copy kept on failure', async () => {
    let requests = 0;
    const url = await servers.serve((_request, response) => {
      requests += 1;
      if (requests === 2) response.writeHead(500).end();
      else response.end(`${script}//${requests}`);
    });
    const clock = new FakeClock();
    const source = sourceAt(url, clock);
    await source.text();
    await clock.advance(599_999);
    await source.text();
    expect(requests).toBe(1);
    await clock.advance(1);
    expect((await source.text()).script).toBe(`${script}//1`);
    await expect.poll(() => requests).toBe(2);
    expect((await source.text()).script).toBe(`${script}//1`);
    await expect
      .poll(async () => {
        await clock.advance(60_000);
        return (await source.text()).script;
      })
      .toBe(`${script}//3`);
  });

  it.each([
    ['a refusal', 404, 'no', 'status 404'],
    ['a redirect', 302, '', 'status 302'],
    ['a page', 200, '<!doctype html>', 'is a page'],
    ['too much', 200, `//${'x'.repeat(1024 * 1024)}`, 'larger than 1 MiB'],
  ])('fails on %s', async (_what, status, text, expected) => {
    const url = await servers.serve((_request, response) => response.writeHead(status).end(text));
    await expect(sourceAt(url).text()).rejects.toMatchObject({
      code: 'pac',
      message: expect.stringContaining(expected),
    });
  });

  it('fails when it does not come in time', async () => {
    const clock = new FakeClock();
    let isAsked = false;
    const url = await servers.serve(() => {
      isAsked = true;
    });
    const failed = expect(sourceAt(url, clock).text()).rejects.toThrow('did not come within 5 s');
    await expect.poll(() => isAsked).toBe(true);
    await clock.advance(5000);
    await failed;
  });
});
