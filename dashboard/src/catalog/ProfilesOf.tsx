// The profiles that list a service or a proxy.
import { Link } from '@tanstack/react-router';

interface Props {
  profiles: { nodes: readonly { id: string; name: string }[]; pageInfo: { hasNextPage: boolean } };
}

export function ProfilesOf({ profiles }: Props) {
  if (profiles.nodes.length === 0) return <p className="soft">No profile lists it.</p>;
  return (
    <p className="item-chips">
      {profiles.nodes.map(({ id, name }) => (
        <Link key={id} className="chip" to="/profiles/$profileId" params={{ profileId: id }}>
          {name}
        </Link>
      ))}
      {profiles.pageInfo.hasNextPage && <span className="soft">and more</span>}
    </p>
  );
}
