/** Where the admin socket is, and that a process goes on without one. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type AdminActions, type AdminSocket, listenAdmin } from '../http/admin.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../telemetry/log.ts';

export interface AdminPlace {
  /** `off`, `auto`, or a path. */
  readonly setting: string;
  readonly cwd: string;
  /** Of this process in the data folder; undefined: the folder is only read. */
  readonly instanceFolder: string | undefined;
}

/** Undefined: switched off, or it cannot be made, which the log says. */
export async function openAdminSocket(
  { setting, cwd, instanceFolder }: AdminPlace,
  log: Logger,
  actions: () => AdminActions,
): Promise<AdminSocket | undefined> {
  if (setting === 'off' || (setting === 'auto' && instanceFolder === undefined)) return undefined;
  const path = setting === 'auto' ? join(instanceFolder as string, 'admin.sock') : resolve(cwd, setting);
  try {
    await mkdir(resolve(path, '..'), { recursive: true });
    return await listenAdmin(path, actions());
  } catch (error) {
    // A path too long for a socket, or a file system without them: everything else works.
    log.warn({ path, reason: messageOf(error) }, 'no admin socket');
    return undefined;
  }
}
