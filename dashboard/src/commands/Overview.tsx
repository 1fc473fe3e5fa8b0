// What a command is and how much it is used.
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { Time } from '../ui/Time';
import { lengthOf, millisecondsOf } from '../ui/time';
import type { CommandOfPage } from './documents';
import { kindOf } from './words';

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const inWords = (duration: string) => lengthOf(millisecondsOf(duration));

function Block({ name, text }: { name: string; text: string }) {
  return (
    <>
      <h2>{name}</h2>
      <pre className="block" tabIndex={0} aria-label={name}>
        {text}
      </pre>
    </>
  );
}

function Pairs({ name, value }: { name: string; value: unknown }) {
  const entries = Object.entries((value ?? {}) as Record<string, string>);
  return entries.length === 0 ? null : <Block name={name} text={entries.map(([key, text]) => `${key}: ${text}`).join('\n')} />;
}

function Spec({ spec }: { spec: CommandOfPage['spec'] }) {
  switch (spec.__typename) {
    case 'HttpSpec':
      return (
        <>
          <Block name="Request" text={`${spec.method} ${spec.url}`} />
          <Pairs name="Headers" value={spec.headers} />
          {spec.body && <Block name="Body" text={spec.body} />}
          <p className="soft small">{`Success: ${spec.expectStatus.length > 0 ? spec.expectStatus.join(', ') : '200 to 299'}. Redirects: ${spec.redirects.toLowerCase().replace('_', ' ')}.`}</p>
        </>
      );
    case 'ProgramSpec':
      return (
        <>
          <Block name="Program" text={spec.program} />
          {spec.arguments.length > 0 && (
            <>
              <h2>Arguments</h2>
              <ol className="arguments">
                {spec.arguments.map((argument, index) => (
                  <li key={index}>
                    <code>{argument}</code>
                  </li>
                ))}
              </ol>
            </>
          )}
          <Pairs name="Environment" value={spec.environment} />
          {spec.stdin && <Block name="Standard input" text={spec.stdin} />}
          {spec.tokens.length > 0 && <p>{`Tokens of ${spec.tokens.join(', ')}`}</p>}
        </>
      );
    case 'PlaywrightSpec':
      return (
        <>
          <Block name="Script" text={spec.script} />
          <p className="soft small">
            {`${spec.headless ? 'Without' : 'With'} a window. Screenshot: ${spec.screenshot.toLowerCase().replace('_', ' ')}, trace: ${spec.trace.toLowerCase().replace('_', ' ')}, video: ${spec.video.toLowerCase().replace('_', ' ')}.`}
          </p>
        </>
      );
    default:
      return <p className="soft">This kind of command is not known to this page.</p>;
  }
}

function Policy({ policy }: { policy: CommandOfPage['policy'] }) {
  const { backoff } = policy;
  return (
    <dl className="facts">
      <Fact name="Attempts at most">{policy.maxAttempts}</Fact>
      <Fact name="Time limit">{`${inWords(policy.timeout)}, then ${inWords(policy.grace)} to end`}</Fact>
      <Fact name="Between attempts">{`${inWords(backoff.initial)} to ${inWords(backoff.max)}, ${backoff.strategy.toLowerCase()}`}</Fact>
      <Fact name="Expires after">{policy.expiresAfter ? inWords(policy.expiresAfter) : 'never'}</Fact>
      <Fact name="Jobs at once">{policy.maxConcurrency ?? 'no limit'}</Fact>
      {policy.rateLimits.map(({ name, limit, per, burst }) => (
        <Fact key={name} name={`Rate, ${name}`}>{`${limit} in ${inWords(per)}, ${burst} at once`}</Fact>
      ))}
      {policy.caps.map(({ most, per, whenReached }) => (
        <Fact key={per} name={`Cap per ${per.toLowerCase()}`}>{`${most}, then ${whenReached === 'DEFER' ? 'wait' : 'refuse'}`}</Fact>
      ))}
    </dl>
  );
}

export function Overview({ command }: { command: CommandOfPage }) {
  const { consumption } = command;
  return (
    <section className="stack" aria-label="Overview">
      {command.description && <p>{command.description}</p>}
      <dl className="facts">
        <Fact name="Kind">{kindOf(command.kind)}</Fact>
        <Fact name="Queue">
          <Link to="/jobs" search={{ queue: [command.queue] }}>
            {command.queue}
          </Link>
        </Fact>
        <Fact name="Profile">{command.profile?.name ?? 'none'}</Fact>
        <Fact name="Proxy">{command.proxy?.name ?? 'as the profile says'}</Fact>
        <Fact name="Services">{command.services.length > 0 ? command.services.map(({ name }) => name).join(', ') : 'as the profile says'}</Fact>
        <Fact name="Contents">{command.isPrivate ? 'kept from VIEWERs' : 'for all roles'}</Fact>
        <Fact name="Changed">
          <Time at={command.updatedAt} />
          <span className="soft">{`, version ${command.version}`}</span>
        </Fact>
        <Fact name="Today">{`${consumption.today.attempts} attempts, busy for ${inWords(consumption.today.busy)}`}</Fact>
        <Fact name="This month">{`${consumption.thisMonth.attempts} attempts, busy for ${inWords(consumption.thisMonth.busy)}`}</Fact>
      </dl>
      {command.usage.length > 0 && (
        <>
          <h2>Room now</h2>
          <dl className="facts">
            {command.usage.map(({ name, limit, remaining, resetsAt }) => (
              <Fact key={name} name={name}>
                {`${remaining ?? 'unknown'} of ${limit ?? 'unknown'} left`}
                {resetsAt && (
                  <>
                    {', full at '}
                    <Time at={resetsAt} />
                  </>
                )}
              </Fact>
            ))}
          </dl>
        </>
      )}
      <Spec spec={command.spec} />
      <Block name="Input schema" text={JSON.stringify(command.inputSchema, null, 2)} />
      <h2>Policy</h2>
      <Policy policy={command.policy} />
    </section>
  );
}
