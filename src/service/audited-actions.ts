/** The orders of the admin socket, each noted for the audit with its result. */
import type { Audit, AuditAction } from '../audit/types.ts';
import type { AdminActions } from '../http/admin.ts';
import { messageOf } from '../lib/errors.ts';

/** Orders that change something, and what the audit calls them. Those that are noted by whom they order are not here. */
const noted: Readonly<Record<string, AuditAction>> = {
  'POST /purge': 'purge',
  'POST /quarantine-release': 'release',
  'POST /sumdb-reset': 'trust',
  'POST /expect': 'trust',
  'POST /upstreams/clear': 'order',
  'POST /negatives/clear': 'order',
};

/** Whoever may use the socket has the rights of the process: the system does not tell node who it is. */
const who = 'local';

export function audited(actions: AdminActions, audit: Audit): AdminActions {
  return Object.fromEntries(
    Object.entries(actions).map(([name, action]) => {
      const kind = name === 'POST /controls' ? 'order' : noted[name];
      if (kind === undefined) return [name, action];
      return [
        name,
        async (ask: Readonly<Record<string, unknown>>) => {
          const what = {
            action: ask['action'] === 'mode' ? ('mode' as const) : kind,
            who,
            from: 'local',
            module: textOf(ask['module']),
            version: textOf(ask['version']),
            data: Object.fromEntries(
              Object.entries(ask).filter(([key]) => key !== 'module' && key !== 'version'),
            ),
          };
          try {
            const result = await action(ask);
            audit.note({ ...what, result: 'ok' });
            return result;
          } catch (error) {
            audit.note({ ...what, result: 'failed', reason: messageOf(error) });
            throw error;
          }
        },
      ];
    }),
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
