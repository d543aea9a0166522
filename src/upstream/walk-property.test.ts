/** What holds for the walk whatever its sources do. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { plainAnswer } from './test-answers.ts';
import { planOver } from './test-walk.ts';
import {
  type Upstream,
  type UpstreamAnswer,
  UpstreamError,
  type UpstreamErrorCode,
  type UpstreamRequest,
} from './types.ts';
import { Walk } from './walk.ts';

const lastHopeMs = 10_000;
const repeats = 2;
const failures = ['status', 'reset', 'dns', 'refused', 'busy', 'timeout', 'truncated'] as const;

/** What a source does with one question: says this after so long, or nothing at all. */
interface Reply {
  readonly says: 'ok' | 'silence' | UpstreamErrorCode;
  readonly afterMs: number;
}

interface Script {
  readonly replies: readonly Reply[];
  readonly isStrict: boolean;
}

interface Case {
  readonly main: readonly Script[];
  readonly reserve: readonly Script[];
  readonly answerClass: 'meta' | 'zip';
  readonly hedges: number;
  /** What the caller does with each answer: refuses it, or asks beside it and takes the better or the worse. */
  readonly caller: readonly ('refuse' | 'beside' | 'askAgain')[];
}

const reply: fc.Arbitrary<Reply> = fc.record({
  says: fc.oneof(
    { weight: 3, arbitrary: fc.constant<'ok'>('ok') },
    { weight: 2, arbitrary: fc.constantFrom<'absent' | 'gone'>('absent', 'gone') },
    { weight: 4, arbitrary: fc.constantFrom(...failures) },
    { weight: 2, arbitrary: fc.constant<'silence'>('silence') },
  ),
  afterMs: fc.constantFrom(0, 1, 50, 199, 200, 201, 999, 1000, 1001, 5000, 9999, 20_000),
});

const script: fc.Arbitrary<Script> = fc.record({
  replies: fc.array(reply, { minLength: 1, maxLength: 4 }),
  isStrict: fc.oneof(
    { weight: 5, arbitrary: fc.constant(false) },
    { weight: 1, arbitrary: fc.constant(true) },
  ),
});

const anyCase: fc.Arbitrary<Case> = fc.record({
  main: fc.array(script, { maxLength: 5 }),
  reserve: fc.array(script, { maxLength: 3 }),
  answerClass: fc.constantFrom('meta', 'zip'),
  hedges: fc.nat(3),
  caller: fc.array(fc.constantFrom('refuse', 'beside', 'askAgain'), { maxLength: 4 }),
});

/** Plays its script; keeps what it was asked, what it said, and what became of it. */
class Player implements Upstream {
  readonly name: string;
  readonly isPrivate = false;
  readonly stopsOnError: boolean;
  readonly requests: UpstreamRequest[] = [];
  readonly #script: Script;
  readonly #clock: FakeClock;
  readonly #onAsked: (player: Player) => void;
  lastSaid: Reply['says'] | undefined;
  beaten = 0;
  answers = 0;
  cancelled = 0;

  constructor(name: string, script: Script, clock: FakeClock, onAsked: (player: Player) => void) {
    this.name = name;
    this.stopsOnError = script.isStrict;
    this.#script = script;
    this.#clock = clock;
    this.#onAsked = onAsked;
  }

  /** Questions that neither it nor the walk has brought to an end. */
  open = 0;

  fetch(request: UpstreamRequest): Promise<UpstreamAnswer> {
    this.#onAsked(this);
    const { replies } = this.#script;
    const next = replies[Math.min(this.requests.length, replies.length - 1)];
    this.requests.push(request);
    this.open += 1;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(() => {
        if (next === undefined || next.says === 'silence') return;
        this.open -= 1;
        this.lastSaid = next.says;
        if (next.says === 'ok') resolve(this.#answer());
        else reject(new UpstreamError(this.name, next.says, next.says));
      }, next?.afterMs ?? 0);
      request.signal.addEventListener('abort', () => {
        timer.cancel();
        this.open -= 1;
        const reason: unknown = request.signal.reason;
        const code = reason instanceof UpstreamError ? reason.code : 'aborted';
        if (code === 'beaten' || code === 'aborted') this.beaten += 1;
        reject(new UpstreamError(this.name, 'aborted', 'aborted'));
      });
    });
  }

  #answer(): UpstreamAnswer {
    this.answers += 1;
    let isCancelled = false;
    return plainAnswer(this.name, {
      cancel: () => {
        if (!isCancelled) this.cancelled += 1;
        isCancelled = true;
      },
    });
  }

  async close(): Promise<void> {}
}

/** Plays a case to its end. `faults` are broken rules seen on the way. */
async function play({ main, reserve, answerClass, hedges, caller }: Case) {
  const clock = new FakeClock();
  const faults: string[] = [];
  const asked: string[] = [];
  let hedgesLeft = hedges;
  const players: Player[] = [];
  const mainNames = new Set(main.map((_, index) => `m${index}`));

  function onAsked(player: Player): void {
    asked.push(player.name);
    for (const before of players.slice(0, players.indexOf(player))) {
      if (before.stopsOnError && before.lastSaid !== 'absent' && before.lastSaid !== 'gone') {
        faults.push(`${player.name} asked while ${before.name} had said ${before.lastSaid}`);
      }
    }
    if (mainNames.has(player.name)) return;
    for (const other of players.filter(({ name }) => mainNames.has(name))) {
      if (other.open > 0) faults.push(`${player.name} asked beside ${other.name}`);
      if (other.lastSaid === 'absent' || other.lastSaid === 'gone') {
        faults.push(`${player.name} asked although ${other.name} said absent`);
      }
    }
  }

  players.push(
    ...main.map((one, index) => new Player(`m${index}`, one, clock, onAsked)),
    ...reserve.map((one, index) => new Player(`r${index}`, one, clock, onAsked)),
  );
  const walk = new Walk({
    plan: planOver(players.slice(0, main.length), {
      reserve: players.slice(main.length),
      lastHopeMs,
      hedgeMs: () => 200,
      takeHedge: () => {
        hedgesLeft -= 1;
        return hedgesLeft >= 0;
      },
      takeRepeat: (_, nth) => (nth <= repeats ? 100 : undefined),
    }),
    target: '/x',
    answerClass,
    signal: new AbortController().signal,
    clock,
  });

  /** Moves time until it settles. No wait of the walk is longer than the last hope of everybody and every repeat. */
  async function ended(promise: Promise<UpstreamAnswer | undefined>): Promise<UpstreamAnswer | undefined> {
    let isSettled = false;
    void promise.then(() => {
      isSettled = true;
    });
    for (let waitedMs = 0; waitedMs <= 30 * lastHopeMs; waitedMs += 5000) {
      await clock.advance(waitedMs === 0 ? 0 : 5000);
      if (isSettled) return promise;
    }
    faults.push('did not end');
    walk.close();
    return undefined;
  }

  const first = await ended(walk.next());
  let askedAgain = 0;
  let answer = first;
  for (const deed of caller) {
    if (answer === undefined) break;
    if (deed === 'beside') {
      const other = await ended(walk.nextBeside({ fromByte: 7 }));
      if (other !== undefined) {
        if (!mainNames.has(other.upstream)) faults.push(`${other.upstream} was asked beside`);
        walk.adopt(other);
        walk.refuse(answer, 'timeout', 'slow');
        answer = other;
      }
      continue;
    }
    walk.refuse(answer, 'refused', 'bad bytes');
    if (deed === 'askAgain' && walk.askAgain(answer.upstream)) askedAgain += 1;
    answer = await ended(walk.next());
  }
  walk.close();
  // Every promise callback that is still due runs before the books are closed.
  await clock.advance(0);
  return { walk, clock, players, faults, asked, first, askedAgain };
}

describe('Walk, for any sources', () => {
  it('ends, asks nobody too often or too early, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, async (one) => {
        const { players, faults, clock, asked, askedAgain } = await play(one);
        expect(faults).toEqual([]);
        expect(clock.timers).toBe(0);
        let again = 0;
        for (const player of players) {
          expect(player.open).toBe(0);
          expect(player.cancelled).toBe(player.answers);
          // Those beaten have said nothing: they are hopes again when the winner's bytes are refused.
          const own = player.requests.length - player.beaten;
          expect(own).toBeLessThanOrEqual(1 + repeats + 1);
          again += Math.max(0, own - 1);
        }
        expect(again).toBeLessThanOrEqual(repeats + askedAgain);
        expect(asked.length).toBe(players.reduce((sum, { requests }) => sum + requests.length, 0));
      }),
      { numRuns: 1500 },
    );
  });

  it('has an answer whenever a source of the main tier has one within the last hope', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, async (one) => {
        const main = one.main.map((script) => ({ ...script, isStrict: false }));
        const { first } = await play({ ...one, main });
        const isThere = main.some(
          ({ replies: [reply] }) => reply?.says === 'ok' && reply.afterMs < lastHopeMs,
        );
        if (isThere) expect(first).toBeDefined();
      }),
      { numRuns: 1000 },
    );
  });

  it('says what each source said last, one line each, in the order of the plan', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, async (one) => {
        const { walk, players, asked } = await play(one);
        const heard = players.map(({ name }) => name).filter((name) => asked.includes(name));
        const lines = walk.outcomes.filter(({ code }) => code !== 'skipped');
        expect(lines.map(({ source }) => source)).toEqual(heard);
        const unheard = players.map(({ name }) => name).filter((name) => !asked.includes(name));
        const left = walk.outcomes.filter(({ code }) => code === 'skipped').map(({ source }) => source);
        expect(left).toEqual(unheard.filter((name) => name.startsWith('r')));
        for (const { source, code, isDoubtful } of lines) {
          const isAbsence = code === 'absent' || code === 'gone';
          expect(isDoubtful === true).toBe(isAbsence && source.startsWith('r'));
        }
      }),
      { numRuns: 500 },
    );
  });
});
