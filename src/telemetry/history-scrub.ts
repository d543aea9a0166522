/** What the scrub and the proving afterwards tell, as events of the history. */
import type { ArtifactKey } from '../gomod/types.ts';
import type { EventBus } from '../lib/event-bus.ts';
import type { ScrubCounts, ScrubEvents } from '../scrub/types.ts';
import type { History } from './history.ts';

/** Returns the unsubscribe. */
export function keepScrubHistory(history: Pick<History, 'note'>, scrub: EventBus<ScrubEvents>): () => void {
  const unsubscribes = [
    scrub.on('started', ({ resumed }) =>
      history.note({
        kind: 'scrub',
        severity: 'info',
        message: resumed
          ? 'the scrub goes on where it was stopped'
          : 'the scrub begins to read the store again',
        data: { resumed },
      }),
    ),
    scrub.on('finished', (report) =>
      history.note({
        kind: 'scrub',
        severity: report.quarantined > 0 || report.unreadable > 0 ? 'error' : 'info',
        message: `the scrub has read the store: ${countsText(report)}`,
        data: { ...report },
      }),
    ),
    scrub.on('failed', ({ reason }) =>
      history.note({
        kind: 'scrub',
        severity: 'error',
        message: `the scrub stopped, and goes on later: ${reason}`,
      }),
    ),
    scrub.on('rotten', ({ key, reason, cause }) =>
      history.note({
        kind: cause === 'rotten' ? 'rotten' : 'mismatch',
        severity: 'error',
        module: key.path,
        message: `the stored ${fileText(key)} is not what it should be: ${reason}`,
        data: { version: key.version, artifact: key.ext, cause },
      }),
    ),
    scrub.on('healed', ({ key, source }) =>
      history.note({
        kind: 'healed',
        severity: 'warning',
        module: key.path,
        message: `a good copy of ${fileText(key)} came from ${source}`,
        data: { version: key.version, artifact: key.ext, source },
      }),
    ),
    scrub.on('quarantined', ({ key, id, reason }) =>
      history.note({
        kind: 'quarantine',
        severity: 'error',
        module: key.path,
        message: `no good copy of ${fileText(key)} was found, it stays in quarantine as ${id}: ${reason}`,
        data: { version: key.version, artifact: key.ext, id },
      }),
    ),
    scrub.on('stuck', ({ key, reason }) =>
      history.note({
        kind: 'disk',
        severity: 'error',
        module: key.path,
        message: `${fileText(key)} is not what it should be and could not be taken out: ${reason}`,
        data: { version: key.version, artifact: key.ext },
      }),
    ),
    scrub.on('unreadable', ({ key, reason }) =>
      history.note({
        kind: 'disk',
        severity: 'error',
        module: key.path,
        message: `${fileText(key)} could not be read: ${reason}`,
        data: { version: key.version, artifact: key.ext },
      }),
    ),
    scrub.on('proven', ({ key, by }) =>
      history.note({
        kind: 'proof',
        severity: 'info',
        module: key.path,
        message: `${fileText(key)} is proven by ${by}`,
        data: { version: key.version, artifact: key.ext, by },
      }),
    ),
  ];
  return () => {
    for (const unsubscribe of unsubscribes) unsubscribe();
  };
}

function countsText(counts: ScrubCounts): string {
  const { artifacts, bytes, rotten, mismatched, healed, quarantined, unreadable } = counts;
  const trouble = rotten + mismatched + unreadable;
  const head = `${artifacts} artifacts, ${Math.ceil(bytes / 1024 ** 2)} MiB`;
  if (trouble === 0) return `${head}, nothing wrong`;
  return `${head}, ${rotten} rotten, ${mismatched} other than proven, ${unreadable} unreadable; ${healed} healed, ${quarantined} quarantined`;
}

function fileText({ path, version, ext }: ArtifactKey): string {
  return `${path}@${version}.${ext}`;
}
