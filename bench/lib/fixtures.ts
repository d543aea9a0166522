/** What the scenarios serve: a store filled by the product itself, and made-up modules with a zip of an exact size. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Corpus, ensureCorpus } from '../../test/kit/corpus.ts';
import { escapeName } from '../../test/kit/go-names.ts';
import { writeBigModuleZip } from '../../test/kit/make-zip.ts';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import { BenchError } from './bench-error.ts';
import { downloadSeconds } from './go-download.ts';
import { startProduct } from './modferry.ts';
import { startUpstream } from './node-servers.ts';

export interface FilledStore extends AsyncDisposable {
  readonly corpus: Corpus;
  /** The data folder; nothing runs on it. */
  readonly dataDir: string;
  /** What nginx serves: the store proper. */
  readonly downloadDir: string;
  /** Without a leading slash: `github.com/!foo/bar/@v/`, of a module with a middling zip. */
  readonly sample: { readonly directory: string; readonly version: string };
}

/** Downloads the corpus through the product into a new data folder, with the list of the sample module. */
export async function filledStore(): Promise<FilledStore> {
  const corpus = await ensureCorpus();
  const dir = await tempDir('bench-store');
  const module = corpus.modules.toSorted((a, b) => a.zipBytes - b.zipBytes)[
    Math.floor(corpus.modules.length / 2)
  ];
  if (module === undefined) throw new BenchError('wrong_answer', 'the corpus is empty; remove .work/corpus');
  const sample = { directory: `${escapeName(module.path)}/@v/`, version: escapeName(module.version) };
  try {
    await using upstream = await startUpstream(corpus.root, 0);
    await using product = await startProduct({ dataDir: dir.path, upstreamUrl: upstream.url });
    await downloadSeconds(product.url);
    await body(`${product.url}/${sample.directory}list`);
    await product.stop();
  } catch (error) {
    await dir.remove();
    throw error;
  }
  return {
    corpus,
    dataDir: dir.path,
    downloadDir: join(dir.path, 'download'),
    sample,
    [Symbol.asyncDispose]: dir.remove,
  };
}

export interface BigModule extends AsyncDisposable {
  /** A folder in Go's download-cache layout with this one module. */
  readonly root: string;
  readonly zipFile: string;
  /** `/example.test/big/@v/v1.0.0.zip`. */
  readonly zipPath: string;
}

/** A module whose zip has exactly `sizeBytes` bytes that do not compress. */
export async function bigModule(sizeBytes: number): Promise<BigModule> {
  const dir: TempDir = await tempDir('bench-big');
  const [path, version] = ['example.test/big', 'v1.0.0'];
  const zipPath = `/${path}/@v/${version}.zip`;
  const zipFile = join(dir.path, zipPath);
  await mkdir(dirname(zipFile), { recursive: true });
  const write = (name: string, text: string): Promise<void> => writeFile(join(dirname(zipFile), name), text);
  await write(`${version}.info`, JSON.stringify({ Version: version, Time: '2024-01-02T03:04:05Z' }));
  await write(`${version}.mod`, `module ${path}\n`);
  await write('list', `${version}\n`);
  await writeBigModuleZip(zipFile, path, version, sizeBytes, 1);
  return { root: dir.path, zipFile, zipPath, [Symbol.asyncDispose]: dir.remove };
}

/** The body of a 200. Rejects with BenchError `wrong_answer` otherwise. */
export async function body(url: string): Promise<Buffer> {
  const response = await fetch(url);
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status === 200) return bytes;
  throw new BenchError(
    'wrong_answer',
    `${url}: status ${response.status}, ${bytes.toString('utf8', 0, 200)}`,
  );
}
