#include "tests/sim/chance.h"

#include <math.h>

/* splitmix64 (Steele, Lea, Flood 2014): any seed is a good one. */
uint64_t chance_next(struct chance *chance)
{
	uint64_t z = chance->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

struct chance chance_of(uint64_t seed)
{
	return (struct chance){.state = seed};
}

uint64_t chance_below(struct chance *chance, uint64_t bound)
{
	return chance_next(chance) % bound;
}

double chance_uniform(struct chance *chance)
{
	return (double)(chance_next(chance) >> 11) / 9007199254740992.0;
}

double chance_normal(struct chance *chance)
{
	double radius = sqrt(-2 * log(1 - chance_uniform(chance)));

	return radius * cos(6.283185307179586 * chance_uniform(chance));
}

bool chance_hits(struct chance *chance, double probability)
{
	return chance_uniform(chance) < probability;
}
