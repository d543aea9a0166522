/**
 * `npm test`: installs the servers that tests need, runs every check and every test, and ends with one line
 * `N passed, N failed`. Nothing is skipped: what cannot be installed fails.
 */
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checks } from './check.ts';
import { ensureTools } from './ensure-tools.ts';
import { root, run } from './steps.ts';

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly success: boolean;
}

const work = join(root, '.work');
await mkdir(work, { recursive: true });
await ensureTools();

let passed = 0;
let failed = 0;
for (const step of checks) {
  process.stdout.write(`\n== ${step.name}\n`);
  if ((await run(step.command)) === 0) passed += 1;
  else failed += 1;
}
for (const project of ['unit', 'e2e', 'timed']) {
  process.stdout.write(`\n== ${project} tests\n`);
  const output = join(work, `vitest-${project}.json`);
  await rm(output, { force: true });
  const code = await run([
    'vitest',
    'run',
    '--project',
    project,
    ...workersOf(project),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${output}`,
  ]);
  const report = readReport(output);
  passed += report?.numPassedTests ?? 0;
  const notRun = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  const failures = (report?.numFailedTests ?? 0) + notRun;
  // A run that fails outside any test (an unhandled rejection, a file that does not load) is a failure too.
  failed += failures > 0 ? failures : code === 0 && report !== undefined ? 0 : 1;
}
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

/**
 * On two cores vitest would take one worker. End-to-end tests wait most of their time: for timeouts, for disks, for each
 * other's processes.
 */
function workersOf(project: string): string[] {
  if (project === 'timed') return [];
  return [`--maxWorkers=${project === 'e2e' ? 3 : 2}`];
}

function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  } catch {
    return undefined;
  }
}
