export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
        <rect width="32" height="32" rx="7" className="brand-mark" />
        <path d="M8 10h16M8 16h10M8 22h13" className="brand-lines" />
        <circle cx="24" cy="16" r="2.5" className="brand-lamp" />
      </svg>
      Callboard
    </span>
  );
}
