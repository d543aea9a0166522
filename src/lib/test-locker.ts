/** Test help: a process that holds a lock, and tells on its output when it has it and what came of it. */
import fs from 'node:fs';
import { text } from 'node:stream/consumers';
import { attendedClock } from './clock.ts';
import { errnoOf } from './errors.ts';
import { LockFile } from './lock-file.ts';

/** Its arguments: the lock file, then `hold`, or `count` and a file with a number. */
export const lockerScript = import.meta.filename;

const [, script, file, mode, target] = process.argv;
if (script === lockerScript && file !== undefined) {
  const lock = new LockFile(file, attendedClock);
  try {
    if (mode === 'count') await countUp(lock, target ?? '');
    else await hold(lock);
    tell('done');
  } catch (error) {
    tell(errnoOf(error) ?? String(error));
  }
}

/** Reads, changes and writes as one step, fifty times. */
async function countUp(lock: LockFile, counter: string): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    await lock.run(async () => {
      const count = Number(await fs.promises.readFile(counter, 'utf8'));
      await new Promise(setImmediate);
      await fs.promises.writeFile(counter, String(count + 1));
    });
  }
}

/** Until its input ends; then it looks whether the lock is still its own. */
async function hold(lock: LockFile): Promise<void> {
  await lock.run(async (held) => {
    tell('held');
    await text(process.stdin);
    await held.check();
  });
}

function tell(word: string): void {
  fs.writeSync(1, `${word}\n`);
}
