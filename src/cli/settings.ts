/**
 * Finds and loads the configuration for a command. The rules are the same everywhere: `--config`, else
 * `MODFERRY_CONFIG`, else `modferry.yaml` in the working directory if there is one; flags win over all of it.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { FlagValues } from '../config/override-layers.ts';
import { readTextFile } from '../config/read-file.ts';
import { patternFault } from '../gomod/module-pattern.ts';
import type { CliContext } from './context.ts';

const defaultFile = 'modferry.yaml';

/** What a command needs to load the configuration. */
export type SettingsContext = Pick<CliContext, 'env' | 'cwd'>;

/** As the user wrote it, because faults name it; undefined when there is none. */
export async function configFileOf(
  context: SettingsContext,
  given: string | undefined,
): Promise<string | undefined> {
  const named = given ?? context.env['MODFERRY_CONFIG'];
  if (named !== undefined && named !== '') return named;
  const found = await stat(resolve(context.cwd, defaultFile)).then(
    (facts) => facts.isFile(),
    () => false,
  );
  return found ? defaultFile : undefined;
}

/**
 * Loads file, environment and flags. `values` are by key name, e.g. `{ data: './x', 'log.level': 'debug' }`.
 * Rejects with ConfigError, whose message has every fault.
 */
export async function loadSettings(
  context: SettingsContext,
  configFlag: string | undefined,
  values: FlagValues = {},
): Promise<LoadedConfig> {
  return await loadConfig({
    file: await configFileOf(context, configFlag),
    env: context.env,
    flags: values,
    patternFault,
    readFile: (path, maxBytes) => readTextFile(resolve(context.cwd, path), maxBytes),
  });
}

/** The flags of every command that works on a data folder. */
export interface FolderFlags {
  readonly config?: string;
  readonly data?: string;
}

export interface FolderSettings {
  readonly loaded: LoadedConfig;
  /** Absolute. */
  readonly dataDir: string;
}

/** The data folder that `serve` would use with the same flags. Rejects with ConfigError. */
export async function loadFolder(context: SettingsContext, flags: FolderFlags): Promise<FolderSettings> {
  const loaded = await loadSettings(
    context,
    flags.config,
    flags.data === undefined ? {} : { data: flags.data },
  );
  return { loaded, dataDir: resolve(context.cwd, loaded.config.dataDir) };
}

/**
 * Where clients on this machine reach the server: the first listening address and the path prefix. `fault` instead
 * when the configuration does not say, because the system chooses the port.
 */
export function localUrlOf(
  config: LoadedConfig['config'],
): { readonly url: string } | { readonly fault: string } {
  const { listen } = config;
  // Credentials travel over https only: where there is such an address, it is the one for clients.
  const first =
    listen.find(({ isTls }) => isTls === true) ?? listen.find(({ socket }) => socket === undefined);
  if (first === undefined) return { fault: 'it listens on Unix sockets only' };
  if (first.port === 0) return { fault: 'the system chooses the port (listen ends in :0)' };
  const everywhere = first.host === '' || first.host === '0.0.0.0' || first.host === '::';
  const host = everywhere ? 'localhost' : first.host.includes(':') ? `[${first.host}]` : first.host;
  const scheme = first.isTls === true ? 'https' : 'http';
  return { url: `${scheme}://${host}:${first.port}${config.pathPrefix}` };
}
