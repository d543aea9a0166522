/** What a command changed in a data folder by itself, because no modferry runs on it, is noted for the audit too. */
import { randomBytes } from 'node:crypto';
import { createAudit } from '../audit/audit-log.ts';
import type { AuditEntry } from '../audit/types.ts';
import type { CliContext } from './context.ts';

/** Never rejects: what cannot be noted is told on stderr, and the change stands. `dataDir`: absolute. */
export async function noteAudit(
  context: CliContext,
  dataDir: string,
  entry: Omit<AuditEntry, 'who' | 'from' | 'result'>,
): Promise<void> {
  const audit = createAudit({
    clock: context.clock,
    dataDir,
    // Readers take an entry whose number an instance has given before for one that was written twice.
    instance: `command-${randomBytes(4).toString('hex')}`,
    onFault: ({ message }) => {
      context.stderr.write(`modferry: the audit cannot be written: ${message}\n`);
    },
  });
  audit.note({ ...entry, who: 'local', from: 'local', result: 'ok' });
  await audit.close();
}
