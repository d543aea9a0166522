/** `npm run check`: everything that judges the code without running it, in the order that fails quickest. */
import { runAll, type Step } from './steps.ts';

export const checks: readonly Step[] = [
  { name: 'format', command: ['biome', 'check', '.'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings', 'src', 'test', 'bench', 'scripts'] },
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'borders', command: ['node', 'scripts/check-borders.ts'] },
  { name: 'unused code', command: ['knip', '--no-progress'] },
  { name: 'lock file', command: ['node', 'scripts/complete-lock.ts', '--check'] },
  { name: 'generated files', command: ['node', 'scripts/generate.ts', '--check'] },
];

if (import.meta.main) {
  const failed = await runAll(checks);
  if (failed.length > 0) {
    process.stderr.write(`\nfailed: ${failed.join(', ')}\n`);
    process.exitCode = 1;
  }
}
