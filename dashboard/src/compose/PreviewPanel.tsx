// What would run, as the server composes it, and what is wrong, each with a way to its field.
import { Icon } from '../ui/Icon';
import { ProblemBanner } from '../ui/parts';
import { focusField } from '../form/places';
import type { Mistake } from '../form/draft';
import type { Composed } from './documents';
import type { PreviewState } from './usePreview';

function Pairs({ name, value }: { name: string; value: unknown }) {
  const entries = Object.entries((value ?? {}) as Record<string, string>);
  if (entries.length === 0) return null;
  return (
    <>
      <h3>{name}</h3>
      <dl className="preview-pairs">
        {entries.map(([key, text]) => (
          <div key={key}>
            <dt className="mono">{key}</dt>
            <dd className="mono">{text}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Command({ composed }: { composed: Composed }) {
  return (
    <>
      <pre className="block" tabIndex={0} aria-label="Command" data-testid="preview">
        {composed.display}
      </pre>
      {composed.arguments.length > 0 && (
        <>
          <h3>Arguments</h3>
          <ol className="arguments">
            {composed.arguments.map((argument, index) => (
              <li key={index}>
                <code>{argument}</code>
              </li>
            ))}
          </ol>
        </>
      )}
      {composed.http && (
        <>
          <Pairs name="Headers" value={composed.http.headers} />
          {composed.http.body && (
            <>
              <h3>Body</h3>
              <pre className="block" tabIndex={0} aria-label="Body">
                {composed.http.body}
              </pre>
            </>
          )}
        </>
      )}
      <Pairs name="Environment" value={composed.environment} />
    </>
  );
}

const wordsOf = (path: readonly string[]) => path.join(' › ');

export function PreviewPanel({ preview, mistakes, again }: { preview: PreviewState; mistakes: readonly Mistake[]; again(): void }) {
  const { composed, problem, isOld } = preview;
  return (
    <section className="preview" aria-label="Preview">
      <div className="preview-head">
        <h2>Preview</h2>
        <span className="soft small" role="status">
          {mistakes.length > 0 ? (mistakes.length === 1 ? '1 thing to mend' : `${mistakes.length} things to mend`) : isOld ? 'Composing…' : 'It composes.'}
        </span>
      </div>
      {problem && <ProblemBanner problem={problem} again={again} />}
      {mistakes.length > 0 && (
        <ul className="preview-mistakes">
          {mistakes.map(({ path, message }, index) => (
            <li key={index}>
              <button type="button" className="quiet" onClick={() => focusField(path)}>
                <Icon name="warning" />
                <span>
                  <b>{wordsOf(path)}</b> {message}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {composed && mistakes.length === 0 && (
        <div className="stack" data-old={isOld || undefined}>
          <Command composed={composed} />
        </div>
      )}
      <p className="soft small">Secrets are masked by the server as ***.</p>
    </section>
  );
}
