/**
 * Runs scenarios and prints their figures: `node bench/run.ts [NAME …] [--all] [--rounds N] [--seconds N] [--write]`.
 * One after another, each round of one with all its contenders, so that every figure is a ratio of one run.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ModferryError, messageOf } from '../src/lib/errors.ts';
import { BenchError } from './lib/bench-error.ts';
import { meets, targetText, valueText } from './lib/figure.ts';
import { type FilledStore, filledStore } from './lib/fixtures.ts';
import { busyShare, ensureBenchTools, stopChildren } from './lib/machine.ts';
import { rewrite, rows } from './lib/report.ts';
import type { Bench, Scenario } from './lib/scenario.ts';
import { access } from './scenarios/access.ts';
import { accessLog } from './scenarios/access-log.ts';
import { bigZips } from './scenarios/big-zips.ts';
import { coldCrowd } from './scenarios/cold-crowd.ts';
import { coldDownload } from './scenarios/cold-download.ts';
import { deadUpstreams } from './scenarios/dead-upstreams.ts';
import { hotSmall } from './scenarios/hot-small.ts';
import { hugeZip } from './scenarios/huge-zip.ts';
import { illUpstream } from './scenarios/ill-upstream.ts';
import { miss } from './scenarios/miss.ts';
import { proof } from './scenarios/proof.ts';
import { scrub } from './scenarios/scrub.ts';
import { slowUpstream } from './scenarios/slow-upstream.ts';
import { start } from './scenarios/start.ts';
import { warmDownload } from './scenarios/warm-download.ts';

const scenarios: readonly Scenario[] = [
  warmDownload,
  coldDownload,
  hotSmall,
  bigZips,
  coldCrowd,
  hugeZip,
  start,
  accessLog,
  access,
  illUpstream,
  slowUpstream,
  deadUpstreams,
  miss,
  proof,
  scrub,
];

const readme = join(import.meta.dirname, 'README.md');
const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      all: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
    },
  });
  if (values.list || (!values.all && positionals.length === 0)) {
    for (const { name, about } of scenarios) say(`${name.padEnd(15)} ${about}`);
    return;
  }
  const chosen = values.all ? scenarios : positionals.map(scenarioNamed);
  const rounds = wholeNumber('--rounds', values.rounds, 100);
  const seconds = wholeNumber('--seconds', values.seconds, 60);
  ensureBenchTools();

  let store: Promise<FilledStore> | undefined;
  const bench: Bench = {
    rounds,
    seconds,
    store: () => (store ??= filledStore()),
    note: (text) => say(`    ${text}`),
  };
  const fresh = new Map<string, string[]>();
  try {
    for (const scenario of chosen) {
      const otherLoad = await busyShare();
      say(`\n${scenario.name} (others keep the machine ${Math.round(otherLoad * 100)} % busy)`);
      try {
        const figures = await scenario.run(bench);
        for (const figure of figures) {
          const verdict = figure.target === undefined ? '' : meets(figure) ? 'reached' : 'MISSED';
          say(`  ${figure.name}: ${valueText(figure)} (${targetText(figure)}) ${verdict}  ${figure.detail}`);
          if (values.strict && !meets(figure)) process.exitCode = 1;
        }
        const date = new Date().toISOString().slice(0, 10);
        fresh.set(
          scenario.name,
          rows(
            { scenario: scenario.name, rounds, figures },
            { date, otherLoad, tmpDir: process.env['TMPDIR'] },
          ),
        );
      } catch (error) {
        // One scenario that cannot be measured must not cost the figures of the others.
        process.exitCode = 1;
        say(`  could not be measured: ${messageOf(error, 2_000)}`);
      }
    }
  } finally {
    await (await store?.catch(() => undefined))?.[Symbol.asyncDispose]();
  }
  if (values.write) {
    const order = scenarios.map(({ name }) => name);
    await writeFile(readme, rewrite(await readFile(readme, 'utf8'), fresh, order));
  }
}

function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found) return found;
  const names = scenarios.map((scenario) => scenario.name).join(', ');
  throw new BenchError('bad_arguments', `there is no scenario "${name}"; choose of ${names}`);
}

function wholeNumber(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new BenchError('bad_arguments', `${flag} takes a number from 1 to ${most}, not "${text}"`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopChildren();
    process.exit(130);
  });
}
try {
  await main();
} catch (error) {
  if (!(error instanceof ModferryError) && !(error instanceof TypeError)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 2;
}
