// The command as it ran or would run, with secrets masked by the server.
import { useAsk } from '../api/ask';
import { Loading, ProblemBanner } from '../ui/parts';
import { JobComposed } from './documents';

function Pairs({ name, value }: { name: string; value: unknown }) {
  const entries = Object.entries((value ?? {}) as Record<string, string>);
  if (entries.length === 0) return null;
  return (
    <>
      <h2>{name}</h2>
      <dl className="pairs">
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

export function Composed({ id }: { id: string }) {
  const { data, problem, isLoading, again } = useAsk(JobComposed, { id });
  if (isLoading) return <Loading what="the command" />;
  const composed = data?.job?.composed;
  return (
    <section className="stack" aria-label="Composed">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {composed && (
        <>
          <pre className="block" tabIndex={0} aria-label="Command">
            {composed.display}
          </pre>
          {composed.program && (
            <>
              <h2>Program</h2>
              <p className="mono">{composed.program}</p>
            </>
          )}
          {composed.arguments.length > 0 && (
            <>
              <h2>Arguments</h2>
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
              <h2>Request</h2>
              <p className="mono">{`${composed.http.method} ${composed.http.url}`}</p>
              <Pairs name="Headers" value={composed.http.headers} />
              {composed.http.body && (
                <pre className="block" tabIndex={0} aria-label="Body">
                  {composed.http.body}
                </pre>
              )}
            </>
          )}
          <Pairs name="Environment" value={composed.environment} />
          <p className="soft">Secrets are masked by the server, and are never sent to a browser.</p>
        </>
      )}
    </section>
  );
}
