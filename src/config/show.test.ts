import { describe, expect, it } from 'vitest';
import { loadConfig } from './load.ts';
import { renderConfigJson, renderConfigYaml } from './show.ts';

const yaml = `upstreams:
  - https://me:hunter2@goproxy.cn,direct
  - { url: 'https://me:hunter2@b.example' }
  - { url: https://c.example, token: hunter2 }
  - { url: https://d.example, token: env:TOKEN, proxy: 'http://u:hunter2@p:1' }
ingest:
  hold: 3s
`;

async function shown() {
  const loaded = await loadConfig({
    file: 'modferry.yaml',
    env: { TOKEN: 'hunter2', MODFERRY_LOG_LEVEL: 'warn', MODFERRY_NETWORK_HTTP_PROXY: 'u:hunter2@p:2' },
    flags: { listen: ['localhost:0', 'localhost:1'] },
    readFile: async () => yaml,
  });
  return loaded;
}

describe('renderConfigYaml', () => {
  it('says for each value where it comes from', async () => {
    const text = renderConfigYaml((await shown()).shown);

    expect(text).toContain('listen: # --listen\n  - localhost:0\n  - localhost:1\n');
    expect(text).toContain('ingest:\n  hold: 3s # modferry.yaml:7:9\n  tail: 64KiB # default\n');
    expect(text).toContain('  level: warn # MODFERRY_LOG_LEVEL\n');
    expect(text).toContain('path_prefix: "" # default\n');
    expect(text).toContain('  limits:\n    zip: 500MiB # default\n');
  });

  it('masks secrets and shows references to them', async () => {
    const text = renderConfigYaml((await shown()).shown);

    expect(text).not.toContain('hunter2');
    expect(text).toContain('token: env:TOKEN');
    expect(text).toContain('token: "***"');
    expect(text).toContain('http_proxy: "***@p:2"');
  });

  it('is a file that gives the same configuration', async () => {
    const readFile = async () => 'listen: [localhost:0]\nfreshness: { query: 90s }\nprivate: [a.example/*]\n';
    const first = await loadConfig({
      file: 'modferry.yaml',
      env: { MODFERRY_INGEST_TAIL: '1MiB' },
      readFile,
    });
    const again = await loadConfig({
      file: 'modferry.yaml',
      env: {},
      readFile: async () => renderConfigYaml(first.shown),
    });

    expect(again.config).toEqual(first.config);
  });
});

describe('renderConfigJson', () => {
  it('gives value and layer by key, without secrets', async () => {
    const text = renderConfigJson((await shown()).shown);
    const byName: Record<string, unknown> = JSON.parse(text);

    expect(byName['ingest.hold']).toEqual({ value: '3s', layer: 'file', from: 'modferry.yaml:7:9' });
    expect(byName['network.ca_file']).toEqual({ value: null, layer: 'default', from: 'default' });
    expect(text).not.toContain('hunter2');
  });
});

describe('a loaded configuration', () => {
  it('prints no secret when it is logged whole', async () => {
    const loaded = await shown();

    expect(JSON.stringify({ config: loaded.config, shown: loaded.shown })).not.toContain('hunter2');
  });
});
