import { afterEach, describe, expect, it, vi } from 'vitest';
import { startConnectProxy } from '../../test/kit/connect-proxy.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { TestServers } from '../upstream/test-servers.ts';
import { Dispatchers } from './dispatchers.ts';
import { parseProxy } from './proxy-address.ts';
import { directRule, type ProxyRule } from './proxy-rule.ts';

// Every name resolves to this machine, as a hostile or split DNS may say.
vi.mock('node:dns', async (original) => ({
  ...(await original<object>()),
  lookup: (
    _name: string,
    options: { all?: boolean },
    callback: (error: null, address: unknown, family?: number) => void,
  ): void => {
    if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
    else callback(null, '127.0.0.1', 4);
  },
}));

const servers = new TestServers();
afterEach(() => servers.closeAll());

function dispatchersFor(base: string, proxy: ProxyRule = directRule, clock = new FakeClock()): Dispatchers {
  const made = new Dispatchers({
    base: new URL(base),
    proxy,
    connectTimeoutMs: 1000,
    maxConnections: 2,
    keepAliveMs: 1000,
    caFile: undefined,
    clientCertificate: undefined,
    clock,
  });
  servers.onClose(() => made.close());
  return made;
}

async function get(dispatchers: Dispatchers, url: string): Promise<number> {
  const { statusCode, body } = await dispatchers.request(new URL(url), {
    headers: {},
    signal: new AbortController().signal,
    headersTimeoutMs: 5000,
    bodyTimeoutMs: 5000,
  });
  await body.dump();
  return statusCode;
}

describe('Dispatchers', () => {
  it('do not connect for a redirect to a name that resolves to an inside address', async () => {
    let requests = 0;
    const { port } = new URL(
      await servers.serve((_request, response) => {
        requests += 1;
        response.end();
      }),
    );
    const dispatchers = dispatchersFor('https://mirror.example');

    await expect(get(dispatchers, `http://inner.example:${port}/`)).rejects.toMatchObject({
      code: 'inner_address',
    });
    expect(requests).toBe(0);
  });

  it('follow inside once the upstream itself was seen to stand there', async () => {
    const { port } = new URL(await servers.serve((_request, response) => response.end()));
    const dispatchers = dispatchersFor(`http://corp.example:${port}`);
    expect(dispatchers.isInner).toBe(false);

    expect(await get(dispatchers, `http://corp.example:${port}/`)).toBe(200);

    expect(dispatchers.isInner).toBe(true);
    expect(await get(dispatchers, `http://storage.example:${port}/`)).toBe(200);
  });
});

describe('Dispatchers with a list of ways', () => {
  it('take the next one when a proxy cannot be used, and remember that for a minute', async () => {
    const url = await servers.serve((_request, response) => response.end());
    const ill = await startConnectProxy({ fault: { kind: 'cut' } });
    const well = await startConnectProxy();
    servers.onClose(ill.close);
    servers.onClose(well.close);
    const clock = new FakeClock();
    const tunnelled = url.replace('http:', 'https:');
    const list = [parseProxy(ill.url, 'x'), parseProxy(well.url, 'x')];
    const dispatchers = dispatchersFor(tunnelled, () => list, clock);
    const attempt = (): Promise<unknown> => get(dispatchers, tunnelled).catch((error: unknown) => error);

    // The tunnel leads to a plain server: that TLS fails there is no fault of the proxy, and ends the search.
    expect(await attempt()).toMatchObject({ code: 'tls' });
    expect([ill.requests.length, well.requests.length]).toEqual([1, 1]);

    await clock.advance(59_999);
    await attempt();
    expect([ill.requests.length, well.requests.length]).toEqual([1, 2]);

    await clock.advance(2);
    await attempt();
    expect(ill.requests.length).toBe(2);
  });

  it('avoid a proxy that refused one target for that target only', async () => {
    const refusing = await startConnectProxy({ fault: { kind: 'status', status: 403 } });
    servers.onClose(refusing.close);
    const dispatchers = dispatchersFor('https://a.example', () => [parseProxy(refusing.url, 'x'), 'direct']);

    await get(dispatchers, 'https://a.example:9').catch(() => {});
    await get(dispatchers, 'https://b.example:9').catch(() => {});
    await get(dispatchers, 'https://a.example:9').catch(() => {});

    expect(refusing.requests.map(({ target }) => target)).toEqual(['a.example:9', 'b.example:9']);
  });

  it('go straight when that is next', async () => {
    const url = await servers.serve((_request, response) => response.end());
    const gone = await startConnectProxy();
    await gone.close();
    const dispatchers = dispatchersFor(url, () => [parseProxy(gone.url, 'x'), 'direct']);

    expect(await get(dispatchers, url)).toBe(200);
  });

  it('fail with what the first proxy said when none can be used', async () => {
    const first = await startConnectProxy({ fault: { kind: 'status', status: 503 } });
    servers.onClose(first.close);
    const gone = await startConnectProxy();
    await gone.close();
    const dispatchers = dispatchersFor('https://a.example', () => [
      parseProxy(first.url, 'x'),
      parseProxy(gone.url, 'x'),
    ]);

    const failed = expect(get(dispatchers, 'https://a.example')).rejects;
    await failed.toMatchObject({ code: 'proxy', message: expect.stringContaining('status 503') });
  });

  it('do not ask another proxy when one wants credentials', async () => {
    const locked = await startConnectProxy({ credentials: { username: 'u', password: 'p' } });
    const other = await startConnectProxy();
    servers.onClose(locked.close);
    servers.onClose(other.close);
    const list = [parseProxy(locked.url, 'x'), parseProxy(other.url, 'x')];
    const dispatchers = dispatchersFor('https://a.example', () => list);

    await expect(get(dispatchers, 'https://a.example')).rejects.toMatchObject({ code: 'proxy_auth' });
    expect(other.requests).toHaveLength(0);
  });

  it('leave a rule that takes too long when the asker leaves', async () => {
    const never = new Promise<readonly ['direct']>(() => {});
    const dispatchers = dispatchersFor('https://a.example', () => never);
    const controller = new AbortController();
    const asked = dispatchers.request(new URL('https://a.example'), {
      headers: {},
      signal: controller.signal,
      headersTimeoutMs: 5000,
      bodyTimeoutMs: 5000,
    });
    controller.abort(new Error('gone'));

    await expect(asked).rejects.toThrow('gone');
  });
});
