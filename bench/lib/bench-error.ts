/** What can go wrong with a measurement itself. A figure that misses its target is none of these: it is a result. */
import { ModferryError } from '../../src/lib/errors.ts';

export class BenchError extends ModferryError<
  'tool_missing' | 'client_failed' | 'server_failed' | 'wrong_answer' | 'bad_arguments' | 'no_markers'
> {}
