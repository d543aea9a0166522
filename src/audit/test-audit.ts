/** Test help: a data folder, its audit, and entries to note. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { type AuditFilter, AuditReader } from './audit-file.ts';
import { type AuditLog, type AuditOptions, createAudit } from './audit-log.ts';
import type { AuditRecord } from './entry.ts';
import type { AuditEntry } from './types.ts';

/** Removed after the test. */
export function dataFolder(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'modferry-audit-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  return dataDir;
}

export function auditIn(dataDir: string, options: Partial<AuditOptions> = {}): AuditLog {
  const audit = createAudit({ clock: new FakeClock(), dataDir, instance: 'a', ...options });
  onTestFinished(() => audit.close());
  return audit;
}

export function published(changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    action: 'publish',
    who: 'token:ci',
    from: '10.0.0.1',
    result: 'ok',
    module: 'corp.example/lib',
    version: 'v1.0.0',
    ...changes,
  };
}

export function denied(changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    action: 'denied',
    who: 'anonymous',
    from: '10.0.0.9',
    result: 'refused',
    module: 'corp.example/lib',
    reason: 'route team-a: read',
    ...changes,
  };
}

export async function recordsIn(dataDir: string, filter?: AuditFilter): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  await new AuditReader(dataDir, filter).read((record) => records.push(record));
  return records;
}
