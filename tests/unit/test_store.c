/* tests/unit/test_store.c: the store in memory keeps the contract of every store. */
#include "tests/live/store_contract.h"

static int open_memory(void **unused)
{
	(void)unused;
	contract_store = store_memory_open();
	return 0;
}

static int close_memory(void **unused)
{
	(void)unused;
	store_close(contract_store);
	return 0;
}

int main(void)
{
	return cmocka_run_group_tests_name(
		"store in memory", contract_tests, open_memory, close_memory);
}
