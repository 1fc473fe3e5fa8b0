// The files of a job. Images, videos and texts are shown here, others are downloaded.
import { useEffect, useState } from 'react';
import { useAsk } from '../api/ask';
import { onThisOrigin } from '../app/url';
import { Icon } from '../ui/Icon';
import { Empty, Loading, ProblemBanner } from '../ui/parts';
import { Time } from '../ui/Time';
import { JobFiles, type Artifact } from './documents';

/** Longer texts are downloaded. */
const LONG = 262_144;

function size(bytes: string): string {
  const count = Number(bytes);
  if (count < 1024) return `${count} B`;
  return count < 1_048_576 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1_048_576).toFixed(1)} MiB`;
}

function TextFile({ url }: { url: string }) {
  const [text, setText] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    fetch(url, { signal: stop.signal }).then(
      async (answer) => setText(answer.ok ? await answer.text() : 'The file could not be read. Reload the page for a new link.'),
      () => undefined,
    );
    return () => stop.abort();
  }, [url]);
  return (
    <pre className="file-text" tabIndex={0} aria-label="Text of the file">
      {text ?? 'Reading…'}
    </pre>
  );
}

function Preview({ file, url }: { file: Artifact; url: string }) {
  const { contentType, name } = file;
  if (/^image\/(png|jpeg|gif|webp|avif)/.test(contentType)) return <img className="file-image" src={url} alt={name} loading="lazy" />;
  if (contentType.startsWith('video/')) return <video className="file-image" src={url} controls preload="metadata" aria-label={name} />;
  const isText = /^(text\/|application\/(json|xml|yaml))/.test(contentType);
  return isText && Number(file.sizeBytes) <= LONG ? <TextFile url={url} /> : null;
}

export function Files({ id, version }: { id: string; version: number }) {
  const { data, problem, isLoading, again } = useAsk(JobFiles, { id });
  // A new attempt may have made files.
  useEffect(() => void again(), [again, version]);
  if (isLoading) return <Loading what="the files" />;
  const files = data?.job?.artifacts ?? [];
  return (
    <section className="stack" aria-label="Files">
      {problem && <ProblemBanner problem={problem} again={() => void again()} />}
      {files.length === 0 && !problem && <Empty title="No files">Files that attempts leave behind appear here.</Empty>}
      {files.map((file) => {
        const url = file.url && onThisOrigin(file.url);
        return (
          <article key={file.id} className="file">
            <header className="file-head">
              <Icon name="file" />
              {url ? (
                <a href={url} download={file.name}>
                  {file.name}
                </a>
              ) : (
                <span>{`${file.name} (no longer stored)`}</span>
              )}
              <span className="soft small">{`${file.contentType} · ${size(file.sizeBytes)} · attempt ${file.attempt}`}</span>
              <span className="soft small">
                <Time at={file.createdAt} />
              </span>
              {file.mayHoldSecrets && <span className="chip">may hold secrets</span>}
            </header>
            {url && <Preview file={file} url={url} />}
          </article>
        );
      })}
    </section>
  );
}
