import { afterEach, describe, expect, it, vi } from 'vitest';
import { TestServers } from '../upstream/test-servers.ts';
import { Dispatchers } from './dispatchers.ts';

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

function dispatchersFor(base: string): Dispatchers {
  const made = new Dispatchers({
    base: new URL(base),
    proxy: () => undefined,
    connectTimeoutMs: 1000,
    maxConnections: 2,
    keepAliveMs: 1000,
    caFile: undefined,
  });
  servers.onClose(() => made.close());
  return made;
}

async function get(dispatchers: Dispatchers, url: string): Promise<number> {
  const target = new URL(url);
  const { dispatcher } = dispatchers.routeTo(target);
  const { statusCode, body } = await dispatcher.request({ origin: target.origin, path: '/', method: 'GET' });
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
      code: 'EINNERADDRESS',
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
