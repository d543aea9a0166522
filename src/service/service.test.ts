import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startFakeUpstream } from '../../test/kit/fake-upstream.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { AuditReader } from '../audit/audit-file.ts';
import type { AuditRecord } from '../audit/entry.ts';
import { startService } from './test-service.ts';
import { watchThreads } from './test-threads.ts';

describe('a reload', () => {
  it('ends the threads of PAC scripts that were in use before', async () => {
    const dir = await tempDir('service');
    onTestFinished(() => dir.remove());
    const upstream = await startFakeUpstream();
    onTestFinished(upstream.close);
    const pac = join(dir.path, 'proxy.pac');
    await writeFile(pac, 'function FindProxyForURL() { return "DIRECT"; }');
    const threads = watchThreads();
    const { service, config, url } = await startService(
      `
listen: 127.0.0.1:0
data: ${join(dir.path, 'data')}
upstreams:
  - { url: '${upstream.url}', proxy: 'pac:${pac}', probe: off }
`,
      dir.path,
    );
    const answer = await fetch(`${url}/example.com/m/@v/list`);
    expect(answer.status).toBe(404);
    expect(upstream.requests).toHaveLength(1);
    expect(threads.alive).toBe(1);

    await service.apply(config);
    await threads.none();
  });

  it('is told to the audit, and a refused one with its reason', async () => {
    const dir = await tempDir('service');
    onTestFinished(() => dir.remove());
    const dataDir = join(dir.path, 'data');
    const { service, config } = await startService(
      `{listen: 127.0.0.1:0, data: '${dataDir}', upstreams: ['http://127.0.0.1:9']}`,
      dir.path,
    );
    await service.apply(config);
    service.noteRefused('modferry.yaml:1:1: "x" is not a key');
    await service.stop();
    const records: AuditRecord[] = [];
    await new AuditReader(dataDir).read((record) => records.push(record));
    expect(records).toMatchObject([
      { action: 'rules', who: 'local', result: 'ok', data: { revision: 2 } },
      { action: 'rules', who: 'local', result: 'refused', reason: 'modferry.yaml:1:1: "x" is not a key' },
    ]);
  });
});
