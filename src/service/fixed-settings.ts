/** The settings that only a restart can change: a reload keeps them as they are and says so. */
import type { Config } from '../config/snapshot.ts';

const fixedKeys = [
  'listen',
  'tls',
  'audit',
  'dataDir',
  'pathPrefix',
  'server',
  'memory',
  'store',
  'quarantine',
  'adminSocket',
] as const;

/** Keys that differ in a way only a restart can bring into force. */
export function changedFixed(before: Config, after: Config): string[] {
  const changed: string[] = fixedKeys.filter(
    (key) => JSON.stringify(after[key]) !== JSON.stringify(before[key]),
  );
  if (after.ingest.concurrency !== before.ingest.concurrency) changed.push('ingest.concurrency');
  if (after.ingest.passThroughMemoryBytes !== before.ingest.passThroughMemoryBytes) {
    changed.push('ingest.pass_through_memory');
  }
  return changed;
}

/** `after`, with the fixed settings of `before`. */
export function withFixed(before: Config, after: Config): Config {
  return { ...after, ...Object.fromEntries(fixedKeys.map((key) => [key, before[key]])) };
}
