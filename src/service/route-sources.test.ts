/** Which sources a route may name is known for certain where upstreams are built. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../../test/kit/temp.ts';
import { loadConfig } from '../config/load.ts';
import { buildUpstreamSet } from './upstream-set.ts';

async function build(yaml: string, env: Record<string, string> = {}) {
  const dir = await tempDir('sources');
  onTestFinished(dir.remove);
  const { config } = await loadConfig({ file: 'm.yaml', env: {}, readFile: async () => yaml });
  const set = await buildUpstreamSet({
    config,
    env: { HOME: dir.path, ...env },
    instanceId: 'me',
    version: '0.0.0',
    dataDir: dir.path,
    ownAddresses: [],
    goEnv: Promise.resolve(undefined),
    isReadOnly: true,
  });
  onTestFinished(() => set.close());
  return set;
}

describe('sources of a route', () => {
  it.each([
    ['an upstream written as text', 'upstreams: ["http://127.0.0.1:9"]', {}],
    ['an upstream of GOPROXY', '', { GOPROXY: 'http://127.0.0.1:9' }],
  ])('are never public ones where the route is private: %s', async (_, upstreams, env) => {
    const yaml = `${upstreams}\nroutes: [{match: corp.example, private: true, sources: ['127.0.0.1:9', direct]}]`;
    await expect(build(yaml, env)).rejects.toMatchObject({
      code: 'route_source',
      message: expect.stringContaining('"127.0.0.1:9" is an upstream that is not'),
    });
  });

  it.each([
    ['hubb', /"hubb" is no source; there are: 127\.0\.0\.1:9, direct, published/],
    ['diret', /"diret" is no source/],
  ])('must be there: %s', async (source, message) => {
    const yaml = `upstreams: ["http://127.0.0.1:9"]\nroutes: [{match: example.com, sources: [${source}]}]`;
    await expect(build(yaml)).rejects.toThrow(message);
  });

  it('are not repositories where these are off', async () => {
    const yaml = 'direct: {enabled: false}\nroutes: [{match: a.example, private: true, sources: direct}]';
    await expect(build(yaml)).rejects.toThrow(/direct\.enabled is false/);
  });

  it('may be any upstream of a public route, and private ones of a private route', async () => {
    const set = await build(`
upstreams: [{url: 'http://127.0.0.1:9', name: hub, private: true}, 'http://127.0.0.1:10']
routes:
  - {match: corp.example, private: true, sources: [published, hub]}
  - {match: example.com, sources: '127.0.0.1:10'}
`);
    expect(set.routes.of('corp.example/x').sources).toEqual(['published', 'hub']);
    expect(set.routes.of('example.com/x').sources).toEqual(['127.0.0.1:10']);
  });
});
