/** Loading from texts in memory, for the tests of this folder. */
import { ModferryError } from '../lib/errors.ts';
import { ConfigError, type ConfigFault, formatFaults } from './fault.ts';
import { type LoadedConfig, type LoadOptions, loadConfig } from './load.ts';

type Files = Readonly<Record<string, string>>;

/** A file system of texts that keeps the size limit. */
export function reader(files: Files) {
  return async (path: string, maxBytes: number): Promise<string> => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    if (Buffer.byteLength(text) > maxBytes) throw new ModferryError('too_large', 'too large');
    return text;
  };
}

/** Loads `yaml` as modferry.yaml. */
export function load(
  yaml: string,
  more: Partial<LoadOptions> & { files?: Files } = {},
): Promise<LoadedConfig> {
  const { files = {}, ...options } = more;
  const readFile = reader({ 'modferry.yaml': yaml, ...files });
  return loadConfig({ file: 'modferry.yaml', env: {}, readFile, ...options });
}

async function faultsOf(loading: Promise<unknown>): Promise<readonly ConfigFault[]> {
  const error: unknown = await loading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${String(error)}`);
  return error.faults;
}

/** The lines of the faults that loading must end with. */
export async function textsOf(loading: Promise<unknown>): Promise<string[]> {
  return formatFaults(await faultsOf(loading)).split('\n');
}
