import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { JsonLinesFile, JsonLinesReader, numberedFile } from './json-lines-file.ts';

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'modferry-lines-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'a.jsonl');
}

function writer(file: string, maxBytes = 1024, keep = 3, mode?: number): JsonLinesFile {
  return new JsonLinesFile(file, { clock: new FakeClock(), maxBytes, keep, mode });
}

async function linesOf(reader: JsonLinesReader): Promise<string[]> {
  const lines: string[] = [];
  await reader.read((line) => lines.push(line));
  return lines;
}

describe('JsonLinesFile', () => {
  it('moves long files on, and the oldest goes', async () => {
    const file = newFile();
    const lines = writer(file, 4, 2, 0o600);
    for (const text of ['one', 'two', 'three', 'four']) await lines.append(`${text}\n`, { isDurable: true });
    expect([0, 1, 2].map((number) => readFileSync(numberedFile(file, number), 'utf8'))).toEqual([
      'four\n',
      'three\n',
      'two\n',
    ]);
    expect(existsSync(numberedFile(file, 3))).toBe(false);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('ends a torn line before its own', async () => {
    const file = newFile();
    writeFileSync(file, 'torn');
    await writer(file).append('whole\n');
    expect(readFileSync(file, 'utf8')).toBe('torn\nwhole\n');
  });

  it('rejects where nothing can be written', async () => {
    await expect(writer('/proc/nowhere/a.jsonl').append('x\n')).rejects.toThrow(/ENOENT/);
  });
});

describe('JsonLinesReader', () => {
  it('gives what is there, oldest first, then what comes, over turn-overs', async () => {
    const file = newFile();
    const lines = writer(file, 8, 3);
    for (const text of ['one', 'two', 'three']) await lines.append(`${text}\n`);
    const reader = new JsonLinesReader(file, 3);
    expect(await linesOf(reader)).toEqual(['one', 'two', 'three']);
    expect(await linesOf(reader)).toEqual([]);
    const mark = await reader.mark();
    for (const text of ['four', 'five', 'six', 'seven']) await lines.append(`${text}\n`);
    expect(await reader.mark()).not.toBe(mark);
    expect(await linesOf(reader)).toEqual(['four', 'five', 'six', 'seven']);
  });

  it('takes a line only when it is whole', async () => {
    const file = newFile();
    const reader = new JsonLinesReader(file, 1);
    expect(await linesOf(reader)).toEqual([]);
    appendFileSync(file, 'one\ntw');
    expect(await linesOf(reader)).toEqual(['one']);
    appendFileSync(file, 'o\n');
    expect(await linesOf(reader)).toEqual(['two']);
  });

  it('passes over a line of any length', async () => {
    const file = newFile();
    writeFileSync(file, `one\n${'x'.repeat(2 * 1024 * 1024)}\ntwo\n`);
    expect(await linesOf(new JsonLinesReader(file, 1))).toEqual(['one', 'two']);
  });

  it('misses nothing when files are moved on while it reads', async () => {
    const file = newFile();
    for (const number of [3, 2, 1, 0]) writeFileSync(numberedFile(file, number), `old ${number}\n`);
    const lines: string[] = [];
    const reader = new JsonLinesReader(file, 3);
    await reader.read((line) => {
      lines.push(line);
      if (lines.length > 1) return;
      for (const number of [3, 2, 1]) renameSync(numberedFile(file, number - 1), numberedFile(file, number));
      writeFileSync(file, 'new\n');
    });
    expect([...new Set(lines)]).toEqual(['old 3', 'old 2', 'old 1', 'old 0', 'new']);
    expect(await linesOf(reader)).toEqual([]);
  });

  it('gives what was appended to a file after it was moved on', async () => {
    const file = newFile();
    writeFileSync(file, 'one\n');
    const reader = new JsonLinesReader(file, 3);
    expect(await linesOf(reader)).toEqual(['one']);
    renameSync(file, numberedFile(file, 1));
    writeFileSync(file, 'three\n');
    expect(await linesOf(reader)).toEqual(['three']);
    // By a process that had opened it before.
    appendFileSync(numberedFile(file, 1), 'two\n');
    expect(await linesOf(reader)).toEqual(['two']);
    expect(await linesOf(reader)).toEqual([]);
  });
});
