/** Steps for people: one line each under the name of what is tested. */
import { type Step, stepNames } from './step.ts';

const marks: Readonly<Record<Step['outcome'], string>> = { ok: '✓', failed: '✗', note: '!' };
const nameWidth = Math.max(...stepNames.map((name) => name.length));

/** A function that gives the text of each next step, with a line for the subject where it changes. */
export function stepText(): (step: Step) => string {
  let subject: string | undefined;
  return (step) => {
    const head = step.subject === subject ? '' : `${plain(step.subject)}\n`;
    subject = step.subject;
    const took = `${Math.round(step.tookMs)} ms`.padStart(8);
    const remedy = step.remedy === undefined ? '' : ` → ${step.remedy}`;
    const line = `${marks[step.outcome]} ${step.name.padEnd(nameWidth)} ${took}  ${step.text}${remedy}`;
    return `${head}  ${plain(line)}\n`;
  };
}

/** What servers say must not steer the terminal. */
function plain(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}
