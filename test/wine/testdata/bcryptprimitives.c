/*
 * Go 1.22 and later take random numbers from bcryptprimitives.dll, which Wine 8
 * lacks. This one hands on to RtlGenRandom, which advapi32 exports as
 * SystemFunction036. For tests under Wine only.
 */
__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *, unsigned long);

__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *p, unsigned long long n)
{
	const unsigned long most = 0x40000000; /* SystemFunction036 counts in 32 bits */

	while (n > 0) {
		unsigned long part = n < most ? (unsigned long)n : most;

		if (!SystemFunction036(p, part))
			return 0;
		p += part;
		n -= part;
	}
	return 1;
}

int __stdcall entry(void *module, unsigned long reason, void *reserved)
{
	(void)module, (void)reason, (void)reserved;
	return 1;
}
